# SPDX-License-Identifier: Apache-2.0
# Sourced by quickstart and check: Debian packages and the build. Only what is
# missing is installed, and it is said what.

OX_PACKAGES="build-essential autoconf automake pkg-config perl re2c lemon libuv1-dev libsqlite3-dev
 libssl-dev libzstd-dev liblz4-dev libsnappy-dev zlib1g-dev libpq-dev libedit-dev
 libmicrohttpd-dev libcurl4-openssl-dev librdkafka-dev libjansson-dev tzdata kcat
 postgresql-client"

say() { printf '%s\n' "$*"; }

# Neither configure nor make bear that.
case $OX_TOP in
*[[:space:]]*) say "the path \"$OX_TOP\" has a space: build Oxbow in a folder without"; exit 1 ;;
esac

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' ||
            printf '%s ' "$package"
    done
}

# libraft before 0.22 is unsafe; Debian 12 has a newer one in its backports.
raft_is_good() {
    version=$(dpkg-query -W -f '${Version}' libraft-dev 2>/dev/null) || return 1
    dpkg --compare-versions "$version" ge 0.22.1
}

# Any mirror that serves this release serves its backports, too.
add_backports() {
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        awk '$1=="deb" { for (i=2;i<NF;i++) if ($i ~ /:\/\//) { print $i; exit } }')
    [ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
        awk '$1=="URIs:" { print $2; exit }')
    [ -n "$mirror" ] || { say "no Debian mirror found in /etc/apt"; return 1; }
    say "adding $release-backports of the configured mirror, for libraft-dev"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    printf 'deb [signed-by=%s] %s %s-backports main\n' "$keyring" "$mirror" "$release" |
        as_root tee /etc/apt/sources.list.d/oxbow-backports.list >/dev/null
}

apt_quiet() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>"$OX_LOG" 2>&1
}

install_packages() {
    wanted=$(missing_packages $OX_PACKAGES $OX_MORE_PACKAGES)
    if [ -z "$wanted" ] && raft_is_good; then return 0; fi
    apt_quiet update || { say "apt-get update failed; see $OX_LOG"; return 1; }
    if [ -n "$wanted" ]; then
        say "installing Debian packages: $wanted"
        apt_quiet install -y --no-install-recommends $wanted || { tail -n 5 "$OX_LOG"; return 1; }
    fi
    raft_is_good && return 0
    candidate=$(apt-cache policy libraft-dev | awk '/Candidate:/ { print $2 }')
    if dpkg --compare-versions "${candidate:-0}" ge 0.22.1 2>/dev/null; then
        apt_quiet install -y --no-install-recommends libraft-dev
    else
        apt-cache policy | grep -q -- '-backports' || { add_backports && apt_quiet update; }
        release=$(. /etc/os-release && echo "$VERSION_CODENAME")
        apt_quiet install -y --no-install-recommends -t "$release-backports" libraft-dev
    fi
    raft_is_good || { say "libraft-dev 0.22 cannot be had here; see $OX_LOG"; return 1; }
}

# Packages that make a suite richer, where they can be had.
install_optional() {
    wanted=$(missing_packages "$@")
    [ -z "$wanted" ] && return 0
    say "installing Debian packages for tests: $wanted"
    apt_quiet update
    for package in $wanted; do
        apt_quiet install -y --no-install-recommends "$package" || say "$package: not available"
    done
}

# $1: build folder, the rest: configure's arguments.
configure_tree() {
    local folder=$1; shift
    [ -x "$OX_TOP/configure" ] && [ "$OX_TOP/configure" -nt "$OX_TOP/configure.ac" ] ||
        (cd "$OX_TOP" && autoreconf -fi >>"$OX_LOG" 2>&1) || { tail "$OX_LOG"; return 1; }
    mkdir -p "$folder"
    [ -f "$folder/Makefile" ] && [ "$(cat "$folder/.configured" 2>/dev/null)" = "$*" ] && return 0
    (cd "$folder" && "$OX_TOP/configure" -q "$@" >>"$OX_LOG" 2>&1) || { tail "$OX_LOG"; return 1; }
    printf '%s\n' "$*" >"$folder/.configured"
}

# Builds with a line of progress on a terminal. $1: folder, the rest: make targets.
build_tree() {
    local folder=$1; shift
    total=$(make -C "$folder" -n "$@" 2>/dev/null | grep -c -- ' -c -o ') || total=0
    if [ "$total" -gt 0 ]; then say "building, $total files"; fi
    done_count=0
    status_file=$folder/.status
    { make -C "$folder" -j"$(nproc)" V=0 "$@" 2>&1; echo $? >"$status_file"; } |
        while IFS= read -r line; do
            printf '%s\n' "$line" >>"$OX_LOG"
            case $line in
            *' CC '*)
                done_count=$((done_count + 1))
                if [ -t 1 ]; then printf '\r  %d of %d  ' "$done_count" "$total"
                elif [ $((done_count % 50)) = 0 ]; then say "  $done_count of $total"; fi ;;
            *warning:*|*error:*|*Error*) printf '%s\n' "$line" ;;
            esac
        done
    if [ -t 1 ] && [ "$total" -gt 0 ]; then printf '\r%-20s\r' ''; fi
    [ "$(cat "$status_file")" = 0 ] || { say "the build failed; see $OX_LOG"; tail -n 20 "$OX_LOG"; return 1; }
}
