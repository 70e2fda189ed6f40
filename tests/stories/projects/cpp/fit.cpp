// Fits a line to points by steepest descent: fit POINTS STEPS
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

int main(int count, char **words) {
    if (count != 3) return 2;
    std::ifstream file(words[1]);
    if (!file) return 1;
    std::vector<double> xs, ys;
    double x, y, slope = 0;
    char comma;
    while (file >> x >> comma >> y) {
        xs.push_back(x);
        ys.push_back(y);
    }
    for (int step = 0; step < std::atoi(words[2]); step++) {
        double pull = 0, weight = 0;
        for (size_t at = 0; at < xs.size(); at++) {
            pull += (slope * xs[at] - ys[at]) * xs[at];
            weight += xs[at] * xs[at];
        }
        slope -= 0.5 * pull / weight;
    }
    FILE *model = std::fopen("model.txt", "w");
    std::fprintf(model, "%.12f\n", slope);
    std::fclose(model);
    return 0;
}
