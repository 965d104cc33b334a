#!/usr/bin/env bash
# Makes `cargo build --target wasm32-unknown-unknown` work with plain stable Rust, also where rustup can't add the
# target. Prints the RUSTFLAGS to build with: nothing where the target is installed, else the path of a standard library
# that is built once (a minute) into the user's cache.
#
#   export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$(.ci/wasm-target.sh)"
#
# With `--from-source` the library is always the one that is built here: rustup's makes other bytes.
#
# On an ordinary machine `rustup target add wasm32-unknown-unknown` is all that is needed. Otherwise std's sources have
# to be those of exactly this rustc: $UPTIME_RUST_LIBRARY (a tar.zst of rust's `library/`), rustup's component
# `rust-src`, or Debian's package `rust-src`. Exit 3 when there are none.
set -euo pipefail

target=wasm32-unknown-unknown
release=$(rustc -vV | sed -n 's/^release: //p')
commit=$(rustc -vV | sed -n 's/^commit-hash: //p' | cut -c1-12)
installed() { compgen -G "$(rustc --print target-libdir --target $target)/libstd-*.rlib" >/dev/null; }

# Prints the folder `library/` of rust's sources, unpacked below $1.
sources() {
  local into=$1 own
  own=$(rustc --print sysroot)/lib/rustlib/src/rust/library
  if [ -n "${UPTIME_RUST_LIBRARY:-}" ]; then
    tar --zstd -xf "$UPTIME_RUST_LIBRARY" -C "$into"
    echo "$into/library"
  elif [ -f "$own/std/Cargo.toml" ]; then
    # A copy: the build writes beside the sources.
    cp -r "$own" "$into/library"
    echo "$into/library"
  else
    from_debian "$into"
  fi
}

# Debian's package, out of the suites that may have this release, with apt's state in a folder of our own: the
# machine's stays as it is.
from_debian() {
  local into=$1 root=$1/apt mirror suite version
  command -v apt-get >/dev/null || return 1
  mkdir -p "$root"/etc/apt/{preferences.d,trusted.gpg.d} "$root"/var/lib/apt/lists/partial \
    "$root"/var/cache/apt/archives/partial "$root"/var/lib/dpkg
  touch "$root/var/lib/dpkg/status"
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' |
    awk '$2 == "main" && $1 !~ /security/ { print $1; exit }')
  [ -n "$mirror" ] || return 1
  for suite in trixie-backports sid; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
  done >"$root/etc/apt/sources.list"
  local apt=(-qq -o Dir="$root" -o Dir::State::status="$root/var/lib/dpkg/status"
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
  apt-get "${apt[@]}" update >&2 || return 1
  version=$(apt-cache "${apt[@]}" madison rust-src |
    awk -F'|' -v release="$release" '{ gsub(/ /, "", $2); if (index($2, release "+dfsg") == 1) { print $2; exit } }')
  [ -n "$version" ] || return 1
  (cd "$into" && apt-get "${apt[@]}" download "rust-src=$version" >&2 && dpkg -x rust-src_*.deb debian) || return 1
  echo "$into/debian/usr/src/rustc-$release/library"
}

# Builds std and panic_abort from $1 into the sysroot $2.
build() {
  local library=$1 sysroot=$2 work=$3
  mkdir -p "$work/seed/src"
  : >"$work/seed/src/lib.rs"
  cat >"$work/seed/Cargo.toml" <<'TOML'
[package]
name = "seed"
version = "0.0.0"
edition = "2021"

[profile.release]
codegen-units = 1
opt-level = "z"
panic = "abort"

[workspace]
TOML
  # Cargo names each crate by a hash of where its sources lie, and the linker sorts by these names. So that the bytes do
  # not depend on the folder, each is named by its own name.
  cat >"$work/rustc" <<'SH'
#!/usr/bin/env bash
arguments=() name=none previous=
for argument in "$@"; do
  [ "$previous" = --crate-name ] && name=$argument
  case $argument in metadata=*) argument=metadata=uptime-$name ;; esac
  arguments+=("$argument")
  previous=$argument
done
exec "${arguments[@]}"
SH
  chmod +x "$work/rustc"
  # The bitcode has to be in it, or a guest built with lto does not link. Paths are mapped to what rustup's own std has.
  local flags="-Cembed-bitcode=yes --remap-path-prefix=$(dirname "$library")=/rustc/$release" folder
  # The standard library's own dependencies: fetched first, so that their folder is there to be mapped.
  (cd "$library" && RUSTC_BOOTSTRAP=1 cargo fetch --quiet --locked --target $target >&2)
  for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do flags+=" --remap-path-prefix=$folder=/crates"; done
  (cd "$work/seed" && env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_RUSTFLAGS \
    RUSTC_BOOTSTRAP=1 RUSTC_WRAPPER="$work/rustc" __CARGO_TESTS_ONLY_SRC_ROOT="$library" CARGO_TARGET_DIR="$work/target" \
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags" \
    cargo build --quiet --release --target $target -Z build-std=std,panic_abort >&2)
  mkdir -p "$sysroot.new/lib/rustlib/$target/lib"
  cp "$work/target/$target"/release/deps/*.rlib "$sysroot.new/lib/rustlib/$target/lib/"
  rm -f "$sysroot.new/lib/rustlib/$target/lib"/libseed-*
  rm -rf "$sysroot"
  mv "$sysroot.new" "$sysroot"
}

case ${1:-} in
  --from-source) ;;
  '') if installed; then exit 0; fi ;;
  *) echo "usage: .ci/wasm-target.sh [--from-source]" >&2; exit 2 ;;
esac
sysroot=${UPTIME_WASM_SYSROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/uptime/wasm-sysroot}/$release-$commit-3
if [ ! -d "$sysroot" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  if ! library=$(sources "$work"); then
    echo "error: the sources of rust $release's standard library were not found" >&2
    echo "hint: rustup component add rust-src" >&2
    exit 3
  fi
  echo "building rust $release's standard library for $target …" >&2
  rm -rf "$sysroot.new"
  build "$library" "$sysroot" "$work"
fi
echo "--sysroot=$sysroot"
