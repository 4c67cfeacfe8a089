#!/usr/bin/env bash
# compile.sh WORK: from the unpacked sources in WORK/src (sources.py) to WORK/program, which lacks only its zip.
#
# OpenSSL, zlib, bzip2 and CPython are compiled for glibc 2.17 by the C compiler that the PyPI package `ziglang` carries,
# and linked into one program. What is there already is not made again: WORK is a folder for exactly these inputs.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd) WORK=$1
GLIBC=2.17
JOBS=${JOBS:-$(nproc)}
export SOURCE_DATE_EPOCH=1767225600 LC_ALL=C TZ=UTC PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
ZIG=$WORK/zig/ziglang/zig
say() { printf '== %s (%ss)\n' "$*" "$SECONDS" >&2; }
logged() { "${@:2}" >"$WORK/$1.log" 2>&1 || { tail -30 "$WORK/$1.log" >&2; echo "$1 failed; all of it is in $WORK/$1.log" >&2; exit 1; }; }

compiler() { # one fixed name for the compiler, and no path of this machine in what it makes
  mkdir -p "$WORK/bin" "$WORK/lib" "$WORK/include"
  local pair
  for pair in "zcc cc" "zxx c++"; do
    # shellcheck disable=SC2086
    set -- $pair
    printf '#!/bin/sh\nexport ZIG_GLOBAL_CACHE_DIR="%s/cache" ZIG_LOCAL_CACHE_DIR="%s/cache"\nexec "%s" %s -target x86_64-linux-gnu.%s -ffile-prefix-map="%s"=. "$@"\n' \
      "$WORK" "$WORK" "$ZIG" "$2" "$GLIBC" "$WORK" >"$WORK/bin/$1"
  done
  printf '#!/bin/sh\nexec "%s" ar "$@"\n' "$ZIG" >"$WORK/bin/zar"
  printf '#!/bin/sh\nexec "%s" ranlib "$@"\n' "$ZIG" >"$WORK/bin/zranlib"
  chmod +x "$WORK"/bin/*
}

library() { # library NAME FLAGS FILES: a static library of these C files
  local objects=() file
  for file in $3; do
    # shellcheck disable=SC2086
    zcc -fPIC $2 -c "$file.c" -o "$file.o"
    objects+=("$file.o")
  done
  rm -f "$WORK/lib/$1"
  zar rcsD "$WORK/lib/$1" "${objects[@]}"
}

libraries() {
  say "zlib, bzip2"
  (cd "$WORK/src/zlib"
    library libz.a "-O3 -DHAVE_HIDDEN -D_LARGEFILE64_SOURCE=1" "adler32 compress crc32 deflate infback inffast inflate inftrees trees uncompr zutil"
    cp zlib.h zconf.h "$WORK/include/")
  (cd "$WORK/src/bzip2"
    library libbz2.a "-O2 -D_FILE_OFFSET_BITS=64" "blocksort huffman crctable randtable compress decompress bzlib"
    cp bzlib.h "$WORK/include/")
  say "OpenSSL"
  logged openssl openssl_
}

openssl_() { # no-autoload-config: a host's openssl.cnf cannot change it; nothing is loaded from files (modules, engines)
  cd "$WORK/src/openssl"
  ./Configure linux-x86_64 CC=zcc AR=zar RANLIB=zranlib --prefix=/usr --openssldir=/etc/ssl --libdir=lib \
    no-shared no-tests no-apps no-docs no-module no-legacy no-engine no-dso no-zlib no-quic no-async no-ssl3 no-dtls no-autoload-config
  make -j"$JOBS" build_generated libcrypto.a libssl.a
  cp libcrypto.a libssl.a "$WORK/lib/"
  cp -r include/openssl "$WORK/include/"
}

python_() { # every C module is built in: nothing of Python itself has to be loaded from a file
  cd "$WORK/src/python"
  sed -i '1i #define DATE "Jan  1 2026"\n#define TIME "00:00:00"' Modules/getbuildinfo.c
  MODULE_BUILDTYPE=static CC=zcc CXX=zxx AR=zar RANLIB=zranlib CPPFLAGS="-I../../include" LDFLAGS="-L../../lib" \
    CFLAGS="-g0 -fPIC -fstack-protector-strong" PKG_CONFIG=false ./configure --prefix=/nonexistent --disable-shared \
    --without-ensurepip --disable-test-modules --without-readline
  {
    echo "*static*"
    sed -E 's/^@MODULE_[A-Z0-9_]+_TRUE@//' Modules/Setup.stdlib.in | while read -r name rest; do
      wanted=$(grep -E "^$name( |\$)" "$HERE/builtin.txt") || continue
      libraries=
      for one in ${wanted#"$name"}; do libraries+=" ../../lib/$one"; done
      echo "$name $rest$libraries"
    done
  } >Modules/Setup.local
  make -j"$JOBS" python
}

unwinder() { # what Rust's libraries want of libgcc, of LLVM's libunwind
  local from=$WORK/zig/ziglang/lib/libunwind objects=$WORK/unwinder file
  mkdir -p "$objects" "$WORK/zip"
  for file in libunwind.cpp UnwindLevel1.c UnwindLevel1-gcc-ext.c UnwindRegistersRestore.S UnwindRegistersSave.S; do
    local compiler=zcc
    [ "${file##*.}" != cpp ] || compiler="zxx -nostdinc++ -fno-exceptions -fno-rtti -std=c++17"
    # shellcheck disable=SC2086
    $compiler -O2 -fPIC -funwind-tables -DNDEBUG -D_LIBUNWIND_IS_NATIVE_ONLY -I"$from/include" -I"$from/src" \
      -c "$from/src/$file" -o "$objects/$file.o"
  done
  zcc -shared -s -Wl,-soname,libgcc_s.so.1 -Wl,--version-script="$HERE/unwinder.map" "$objects"/*.o -o "$WORK/zip/libgcc_s.so.1"
}

link() {
  local python=$WORK/src/python
  cd "$WORK" # relative names only: they end up in the program
  cp "$HERE/main.c" main.c
  zcc -O2 -fPIC -fstack-protector-strong -Isrc/python/Include -Isrc/python -c main.c -o main.o
  # shellcheck disable=SC2046
  zcc -s -pie -Wl,--export-dynamic -Wl,-z,relro -Wl,-z,now -Wl,--gc-sections -o program.new main.o src/python/libpython*.a \
    $(find "$python/Modules/_decimal/libmpdec" "$python/Modules/_hacl" -name '*.a' 2>/dev/null | sort) \
    -Llib -lssl -lcrypto -lz -lbz2 -lpthread -ldl -lutil -lm -lrt
  unwinder
  mv program.new program
}

export PATH="$WORK/bin:$PATH"
[ ! -e "$WORK/program" ] || exit 0
compiler
[ -e "$WORK/lib/libssl.a" ] || libraries
say "CPython"
[ -x "$WORK/src/python/python" ] || logged python python_
say "linking"
logged link link
