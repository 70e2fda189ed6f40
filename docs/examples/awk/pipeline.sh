#!/bin/sh
# A pipeline without Python: the mean petal length of each species, and a nearest-mean classifier's accuracy.
#
#     mltrack run --input data/iris.csv --metrics metrics.json -- sh pipeline.sh data/iris.csv
set -eu
awk -F, 'NR > 1 { sum[$5] += $3; n[$5]++ } END { for (s in sum) printf "%s %.4f\n", s, sum[s] / n[s] }' "$1" | sort > means.txt
cat means.txt
awk -F, '
    NR == FNR { split($0, part, " "); mean[part[1]] = part[2]; next }
    FNR > 1 {
        best = ""
        for (s in mean) {
            gap = $3 - mean[s]; if (gap < 0) gap = -gap
            if (best == "" || gap < least || (gap == least && s < best)) { best = s; least = gap }
        }
        right += (best == $5); total++
    }
    END { printf "{\"accuracy\": %.4f, \"flowers\": %d}\n", right / total, total }
' means.txt "$1" > metrics.json
cat metrics.json
