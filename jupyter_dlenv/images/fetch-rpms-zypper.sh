# Downloads packages for a system like SUSE's, and sends them with what they need as an archive.
# Installs them first, if "install" says how.
# Runs as root in a container that is thrown away; parts.py reads its standard output.

set -e
exec 3>&1 >&2
cache=/opt/dlenv/cache
mkdir -p "$parts" "$cache"
# The container ends soon.
for file in /var/lib/ca-certificates/ca-bundle.pem /etc/ssl/ca-bundle.pem; do
    if [ -n "$ca_bundle" ] && [ -e "$file" ]; then cat "$ca_bundle" >> "$file"; fi
done
get() { zypper --non-interactive "$@"; }
command -v tar || get install --no-recommends tar
get --pkg-cache-dir "$cache" install --download-only --no-recommends $packages
for file in "$cache"/*/*.rpm "$cache"/*/*/*.rpm; do
    if [ -e "$file" ]; then mv "$file" "$parts/"; fi
done
sh -c "${install:-:}"
tar -C "$parts" -cf - . >&3
