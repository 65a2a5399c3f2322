# Downloads packages for Alpine, and sends them with all that they need as an archive.
# Installs them first, if "install" says how.
# Runs as root in a container that is thrown away; parts.py reads its standard output.

set -e
exec 3>&1 >&2
mkdir -p "$parts"
# The container ends soon.
for file in /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem; do
    if [ -n "$ca_bundle" ] && [ -e "$file" ]; then cat "$ca_bundle" >> "$file"; fi
done
apk update --no-progress
apk fetch --no-progress --recursive --output "$parts" $packages
sh -c "${install:-:}"
tar -C "$parts" -cf - . >&3
