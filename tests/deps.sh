#!/bin/sh
# tests/deps.sh build|test|aarch64|valgrind|fuzz|lint|benchmark: install with apt what is missing for that on Debian, and say so; quick if
# nothing is.
set -eu

# Newer systems have the HTTP parser as libllhttp-dev, Debian 12 as C source in node-llhttp.
llhttp() {
    if pkg-config --exists libllhttp 2>/dev/null; then return; fi
    if apt-cache show libllhttp-dev >/dev/null 2>&1; then echo libllhttp-dev; else echo node-llhttp; fi
}

build="gcc libc6-dev make pkg-config libuv1-dev libc-ares-dev libinih-dev python3-dev $(llhttp)"
tools="g++ libcmocka-dev libpq-dev python3-pytest curl openssl procps iproute2 libpython3.11-testsuite chromium"
frameworks="python3-django python3-flask python3-bottle python3-webpy python3-cherrypy3 python3-webob python3-cheroot python3-twisted python3-tornado python3-websockets"
clients="python3-psycopg2 python3-mysqldb python3-pymysql python3-redis python3-requests python3-dnspython libcurl4-openssl-dev"
servers="nginx-light libnginx-mod-stream postgresql mariadb-server-core redis-server dnsmasq-base" # the tests start their own, with files of their own
load="wrk valgrind python3-matplotlib" # benchmark/run and benchmark/callgrind
peers="nodejs uwsgi-core uwsgi-plugin-python3 uwsgi-plugin-gevent-python3 gunicorn python3-gevent python3-eventlet python3-waitress \
    python3-cheroot python3-tornado python3-twisted apache2-utils python3-psycogreen"
case "${1-}" in
build) packages=$build ;;
test) packages="$build $tools $load $frameworks $clients $servers" ;;
aarch64) packages="$build gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" ;;
valgrind) packages="$build python3-pytest valgrind" ;;
benchmark) packages="$build $load $peers $frameworks $clients $servers" ;;
fuzz) packages="$build clang libclang-rt-14-dev" ;;
lint) packages="clang-format python3-minimal git" ;;
*) echo "usage: $0 build|test|aarch64|valgrind|fuzz|lint|benchmark" >&2; exit 2 ;;
esac

missing=
for package in $packages; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

echo "installing what is missing to $1:$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

# Servers that come with a package are not to run on this machine by our doing: not now, nor after a boot.
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
