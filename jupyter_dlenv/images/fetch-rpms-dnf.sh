# Downloads packages for a system like Red Hat's, and sends them with what they need as an archive.
# They are installed on the way, since small images have a microdnf that cannot only download.
# Runs as root in a container that is thrown away; parts.py reads its standard output.

set -e
exec 3>&1 >&2
cache=/opt/dlenv/cache
mkdir -p "$parts" "$cache"
# Each program has another option for this, and the container ends soon.
for file in /etc/pki/tls/certs/ca-bundle.crt /etc/pki/tls/cert.pem; do
    if [ -n "$ca_bundle" ] && [ -e "$file" ]; then cat "$ca_bundle" >> "$file"; fi
done
for program in dnf microdnf yum; do
    if command -v "$program"; then break; fi
done
get() { "$program" -y --setopt=install_weak_deps=0 "$@"; }
command -v tar || get install tar
get --setopt=keepcache=1 --setopt=cachedir="$cache" install $packages
mv "$cache"/*/packages/*.rpm "$parts/"
tar -C "$parts" -cf - . >&3
