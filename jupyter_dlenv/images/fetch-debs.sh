# Downloads packages for a Debian-like system, and sends them with what they need as an archive.
# Installs them first, if "install" says how.
# Runs as root in a container that is thrown away; parts.py reads its standard output.

set -e
exec 3>&1 >&2
mkdir -p "$parts/partial"
fetch() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o APT::Sandbox::User=root -o Acquire::Retries=1 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
        -o Dir::Cache::archives="$parts" \
        ${ca_bundle:+-o Acquire::https::CAInfo="$ca_bundle"} "$@"
}
fetch update
fetch install --no-install-recommends --download-only $packages
sh -c "${install:-:}"
rm -rf "$parts/partial" "$parts/lock"
tar -C "$parts" -cf - . >&3
