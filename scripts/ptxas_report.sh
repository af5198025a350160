#!/usr/bin/env bash
# Registers, shared memory and spills of every kernel as ptxas reports them, against the table docs/kernels/resources.md.
# Usage: scripts/ptxas_report.sh [--write]     --write: makes the table anew
# Exit status 1: a kernel spills, uses a stack, has its wgmma serialised, or takes more registers than the table says; or
# its machine code has instructions for local memory, which is looked at where cuobjdump is in PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

write=0
case ${1:-} in
  "") ;;
  --write) write=1 ;;
  *) echo "error: unknown option $1; only --write is known" >&2; exit 2 ;;
esac
nvcc=$(command -v nvcc || echo "${CUDA_PATH:-/usr/local/cuda}/bin/nvcc")
[[ -x $nvcc ]] || { echo "error: there is no nvcc in PATH, in CUDA_PATH or in /usr/local/cuda" >&2; exit 2; }
ccache=$(command -v ccache || true)  # it repeats what ptxas said

table=docs/kernels/resources.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2317  # called by the shells of xargs
compile() {  # SOURCE OUTPUT: the lines of ptxas for it in OUTPUT.log
  $ccache "$nvcc" -std=c++20 -O3 -DDCASE_HAS_CUDA --expt-relaxed-constexpr -I. -Xcompiler=-w \
    -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a -Xptxas=-v -c "$1" -o "$2.o" >"$2.log" 2>&1
}
export -f compile
export nvcc ccache
find kernels -name '*_cuda.cu' | sort >"$work/sources"
# shellcheck disable=SC2016  # expanded by the inner shell
xargs -P "$(nproc)" -I{} bash -c 'compile "$1" "$2/$(basename "$1")"' _ {} "$work" <"$work/sources" ||
  { cat "$work"/*.log >&2; exit 1; }

# One line a kernel and architecture: name | architecture | registers | static shared | stack | spilled
for log in "$work"/*.log; do
  awk '
    /Compiling entry function/ { match($0, /function .[^ ]*/); name = substr($0, RSTART + 10, RLENGTH - 11); match($0, /sm_[0-9a-z]+/); arch = substr($0, RSTART, RLENGTH) }
    /bytes stack frame/ { stack = $1; spill = $5 + $9 }
    /Used [0-9]+ registers/ {
      registers = $0; sub(/.*Used /, "", registers); sub(/ registers.*/, "", registers)
      smem = 0; if (match($0, /[0-9]+ bytes smem/)) smem = substr($0, RSTART, RLENGTH) + 0
      print name "|" arch "|" registers "|" smem "|" stack "|" spill }' "$log"
done | c++filt -p | sed -E 's/^(void )?dcase::cuda:://; s/dcase::cuda:://g; s/\(([A-Za-z_][A-Za-z0-9_: ]*)\)(-?[0-9])/\2/g' | LC_ALL=C sort -u >"$work/rows"
[[ -s $work/rows ]] || { echo "error: ptxas reported no kernel" >&2; exit 1; }

bad=0
complain() { echo "error: $*" >&2; bad=1; }
if grep -H -i 'serializ' "$work"/*.log; then complain "wgmma is serialised"; fi
if command -v cuobjdump >/dev/null; then
  for object in "$work"/*.o; do
    cuobjdump -sass "$object" >"$work/sass"
    if grep -q 'Compiling entry' "${object%.o}.log" && ! grep -q 'Function : ' "$work/sass"; then
      complain "cuobjdump shows no code of $(basename "$object")"
    fi
    while read -r name; do
      complain "$name has instructions for local memory"
    done < <(awk '/Function : / { name = $NF } /[ \t](STL|LDL)[. ]/ { print name }' "$work/sass" | sort -u | c++filt)
  done
else
  echo "cuobjdump is not in PATH: machine code was not looked at"
fi
while IFS='|' read -r name arch registers _ stack spill; do
  if ((stack > 0 || spill > 0)); then complain "$name for $arch: $stack bytes of stack, $spill spilled"; fi
  if ((!write)); then
    allowed=$(awk -F ' *[|] *' -v name="\`$name\`" -v arch="$arch" '$2 == name && $3 == arch { print $4 }' "$table" 2>/dev/null)
    if [[ -z $allowed ]]; then
      complain "$name for $arch is not in $table; scripts/ptxas_report.sh --write"
    elif ((registers > allowed)); then
      complain "$name for $arch takes $registers registers, $table allows $allowed"
    fi
  fi
done <"$work/rows"

if ((write)); then
  mkdir -p "$(dirname "$table")"
  {
    # shellcheck disable=SC2016  # backquotes of Markdown
    printf '# Resources of the kernels\n\nRegisters of a thread and static shared memory of a block, as ptxas of CUDA 13 reports them; no kernel spills or uses a stack.\n'
    # shellcheck disable=SC2016
    printf '`scripts/ptxas_report.sh` holds a build against this table, `--write` makes it anew. No number here was measured on a GPU.\n\n'
    printf '| kernel | for | registers | shared bytes |\n|---|---|---|---|\n'
    awk -F '|' '{ printf "| `%s` | %s | %s | %s |\n", $1, $2, $3, $4 }' "$work/rows"
  } >"$table"
fi
echo "$(wc -l <"$work/rows") kernels for their architectures, $( ((bad)) && echo "some not as they should be" || echo "all within their registers, nothing spilled")"
exit $bad
