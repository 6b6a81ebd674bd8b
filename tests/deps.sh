#!/bin/sh
# tests/deps.sh NAME: install with apt what `make NAME` needs and this Debian does not have yet, and say what that is.
# NAME is build, test, aarch64, valgrind, fuzz, lint, types, benchmark, platforms or image. Quick if nothing is missing.
set -eu

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

# Ends with the command that root has to run, if this user cannot become root.
need_root() {
    if [ -z "$sudo" ] || $sudo true; then return; fi
    printf '%s: sudo does not make %s root: have root run this, then try again:\n\n    %s\n\n' \
        "$0" "$(id -un)" "$1" >&2
    exit 1
}

# Package lists, if there are none: container images come without. (apt-cache knows installed packages even then.)
lists() {
    set -- /var/lib/apt/lists/*_Packages*
    if [ -e "$1" ]; then return; fi
    need_root "apt-get update"
    $sudo apt-get -q update >&2
}

# The HTTP parser: libllhttp-dev, or on Debian 12, which has none, the C source in node-llhttp.
llhttp() {
    if pkg-config --exists libllhttp 2>/dev/null; then return; fi
    if [ -d /usr/share/llhttp ]; then echo node-llhttp; return; fi
    lists
    if apt-cache show libllhttp-dev >/dev/null 2>&1; then echo libllhttp-dev; else echo node-llhttp; fi
}

# CPython's own tests; no package without a version in its name depends on them.
testsuite() {
    [ -x /usr/bin/python3 ] || lists
    version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null ||
              apt-cache depends python3 | sed -n 's/.*Depends: python\(3\.[0-9]*\)$/\1/p')
    echo "libpython$version-testsuite"
}

build="gcc libc6-dev make pkg-config libuv1-dev libc-ares-dev libinih-dev python3-dev"
build="$build $(llhttp)"
testsuite=$(testsuite)
tools="g++ libcmocka-dev libpq-dev python3-pytest python3-pytest-xdist python3-pip python3-venv curl openssl procps
    iproute2 strace chromium python3-hatchling groff-base logrotate"
frameworks="python3-django python3-flask python3-bottle python3-webpy python3-cherrypy3 python3-webob python3-cheroot
    python3-twisted python3-tornado python3-websockets"
clients="python3-prometheus-client python3-psycopg2 python3-mysqldb python3-pymysql python3-redis python3-requests
    python3-dnspython libcurl4-openssl-dev"
servers="nginx-light libnginx-mod-stream postgresql mariadb-server-core redis-server dnsmasq-base"
load="wrk valgrind python3-matplotlib"
peers="nodejs uwsgi-core uwsgi-plugin-python3 uwsgi-plugin-gevent-python3 gunicorn python3-gevent python3-eventlet
    python3-waitress python3-cheroot python3-tornado python3-twisted apache2-utils python3-psycogreen"
case "${1-}" in
build) packages="$build" ;;
test) packages="$build $tools $testsuite $load $frameworks $clients $servers" ;;
aarch64) packages="$build gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" ;;
valgrind) packages="$build python3-pytest valgrind" ;;
benchmark) packages="$build $load $peers $frameworks $clients $servers" ;;
fuzz) packages="$build clang libclang-rt-dev" ;;
lint) packages="$build clang-format" ;;
types) packages="mypy" ;;
platforms) packages="debootstrap git python3" ;;
image) packages="debootstrap git python3 buildah" ;;
*) echo "usage: $0 build|test|aarch64|valgrind|fuzz|lint|types|benchmark|platforms|image" >&2; exit 2 ;;
esac

missing=
for package in $packages; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
need_root "apt-get update && apt-get install --no-install-recommends$missing"
echo "installing for $1:$missing"

# The servers among them must not be started by their packages, neither now nor at boot: the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod +x $policy
    trap '$sudo rm -f $policy' EXIT
fi
$sudo apt-get -q update
$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends $missing
for service in nginx postgresql redis-server; do
    case "$missing " in
    *" $service"[-\ ]*) [ ! -d /run/systemd/system ] || $sudo systemctl --quiet disable $service ;;
    esac
done
