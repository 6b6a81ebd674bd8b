#!/bin/sh
# tests/deps.sh build|test|lint: install with apt what is missing for that on Debian, and say so; quick if nothing is.
set -eu

# Newer systems have the HTTP parser as libllhttp-dev, Debian 12 as C source in node-llhttp.
llhttp() {
    if pkg-config --exists libllhttp 2>/dev/null; then return; fi
    if apt-cache show libllhttp-dev >/dev/null 2>&1; then echo libllhttp-dev; else echo node-llhttp; fi
}

build="gcc libc6-dev make pkg-config libuv1-dev libc-ares-dev libinih-dev python3-dev libpq-dev $(llhttp)"
case "${1-}" in
build) packages=$build ;;
test) packages="$build libcmocka-dev python3-pytest curl openssl
    python3-django python3-flask python3-bottle python3-webpy python3-cherrypy3 python3-webob" ;;
lint) packages="clang-format python3-minimal" ;;
*) echo "usage: $0 build|test|lint" >&2; exit 2 ;;
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
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get -q update
$sudo apt-get -qy install --no-install-recommends $missing
