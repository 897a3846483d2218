#!/usr/bin/env bash
# What a newcomer does, by what README.md says and nothing else: clone, npm ci, serve, load an own CSV, query it.
#   scripts/newcomer.sh [REPOSITORY]
# NEWCOMER_INSTALLED=DIR takes node_modules, build and dist of an installed clone instead of running npm ci (minutes).
# Every command below is checked to stand in README.md; only file names, the folder and the port are the newcomer's own.
set -euo pipefail
repository=${1:-$(cd "$(dirname "$0")/.." && pwd)}
place=$(mktemp -d)
server=
finish() {
  # The whole group: npx ends at once and leaves what it started running.
  if [ -n "$server" ]; then kill -TERM -- "-$server" 2>/dev/null || true; while kill -0 -- "-$server" 2>/dev/null; do sleep 0.1; done; fi
  rm -rf "$place"
}
trap finish EXIT
say() { printf '\n== %s\n' "$*"; }
# The part of a command that README must show.
readme_says() { grep -qF -- "$1" README.md || { echo "README.md does not say: $1" >&2; exit 1; }; }

say "git clone"
git clone --quiet --depth 1 "file://$repository" "$place/millrace"
cd "$place/millrace"

readme_says "npm ci"
if [ -n "${NEWCOMER_INSTALLED:-}" ]; then
  say "npm ci (taken from an installed clone)"
  for folder in node_modules build dist; do ln -s "$NEWCOMER_INSTALLED/$folder" "$folder"; done
else
  say "npm ci"
  npm ci --no-audit --no-fund
fi

say "an own CSV"
printf 'city,visits,spent\n' > trips.csv
for i in $(seq 1 1000); do printf '%s,%d,%d.50\n' "$([ $((i % 2)) = 0 ] && echo Ulm || echo Bern)" "$((i % 7))" "$i" >> trips.csv; done

say "npx millrace serve"
readme_says "npx millrace serve --dir ./data --port 4433 &"
# Job control gives the server a process group of its own.
set -m
coproc SERVER { exec npx millrace serve --dir ./data --port 0 2>"$place/log"; }
server=$SERVER_PID
set +m
read -r ready <&"${SERVER[0]}" || { cat "$place/log" >&2; exit 1; }
url=$(node -p 'JSON.parse(process.argv[1]).url' "$ready")
export MILLRACE_URL=$url
echo "$url"

say "npx millrace put"
readme_says "npx millrace put node_modules/vega-datasets/data/seattle-weather.csv --name weather"
npx millrace put trips.csv --name trips

say "npx millrace sql"
readme_says 'npx millrace sql -o csv "SELECT'
answer=$(npx millrace sql -o csv "SELECT city, count(*) AS n, sum(visits) AS visits, max(spent) AS most FROM trips GROUP BY city ORDER BY city" | tr -d '\r')
echo "$answer"
# 500 rows each; of i % 7 over the odd and the even i up to 1000.
expected=$(awk -F, 'NR > 1 { n[$1]++; v[$1] += $2; if ($3 > m[$1]) m[$1] = $3 } END { printf "city,n,visits,most\n"; for (c in n) printf "%s,%d,%d,%s\n", c, n[c], v[c], m[c] + 0 | "sort" }' trips.csv)
[ "$answer" = "$expected" ] || { echo "expected:" >&2; echo "$expected" >&2; exit 1; }
say "from git clone to the first own CSV queried"
