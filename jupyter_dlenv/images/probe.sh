# Looks around in an image and prints what is there as marked lines; probe.py reads them.
# Runs in any POSIX shell, with no network, as the image's own user.

say() { printf '\n::dlenv::%s=%s\n' "$1" "$2"; }

say os "$(. /etc/os-release 2>/dev/null && echo "$ID $ID_LIKE")"
say arch "$(uname -m)"
say user "$(id -un 2>/dev/null || id -u)"
say home "$HOME"
say workdir "$(pwd)"
say bash "$(command -v bash)"

for sshd in "$(command -v sshd)" /usr/sbin/sshd /usr/local/sbin/sshd /opt/dlenv/sshd/sshd; do
    if [ -x "$sshd" ]; then
        say sshd "$sshd"
        break
    fi
done

# Any Python understands this much; what is asked of it needs 3.8.
look='
import sys
sys.path[:] = [path for path in sys.path if path]
if sys.version_info >= (3, 8):
    import importlib.metadata, importlib.util, json, os, platform, sysconfig
    def version(package):
        try:
            found = importlib.util.find_spec(package)
            return importlib.metadata.version(package) if found else ""
        except Exception:
            return ""
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    print("\n::dlenv::python=" + json.dumps({
        "path": sys.argv[1],
        "version": "%d.%d.%d" % sys.version_info[:3],
        "ipykernel": version("ipykernel"),
        "pip": version("pip"),
        "managed": sys.prefix == sys.base_prefix and os.path.exists(marker),
        "libc": " ".join(platform.libc_ver()).strip(),
    }))
'

for python in \
    "$(command -v python3)" "$(command -v python)" \
    "$VIRTUAL_ENV/bin/python" "$CONDA_PREFIX/bin/python" \
    /opt/venv/bin/python /opt/conda/bin/python /usr/local/bin/python3 /usr/bin/python3 \
    /usr/bin/python3.11
do
    if [ -x "$python" ]; then
        "$python" -c "$look" "$python" </dev/null
    fi
done

say end 1
