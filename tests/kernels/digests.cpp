// Prints a digest of what each kernel makes of fixed numbers, without torch and with the kernels of
// one instruction set, ISA. Whatever set that is, and on whatever CPU, the digests are the same.

#include <cstdio>
#include <limits>
#include <vector>

#include "decoder.h"
#include "recurrence.h"

const awd::Kernels& awd::kernels() { return ISA::table; }

using namespace awd;

namespace {

// Numbers from -1 to 1, the same everywhere.
class Numbers {
 public:
  std::vector<float> operator()(int64_t count, float scale = 1) {
    std::vector<float> made(count);
    for (float& value : made) {
      state_ = state_ * 1664525u + 1013904223u;
      value = scale * (static_cast<int32_t>(state_ >> 8) - (1 << 23)) / (1 << 23);
    }
    return made;
  }

 private:
  uint32_t state_ = 1;
} numbers;

class Digest {  // FNV-1a
 public:
  template <typename T>
  Digest& operator<<(const std::vector<T>& values) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (size_t i = 0; i < values.size() * sizeof(T); ++i)
      hash_ = (hash_ ^ bytes[i]) * 1099511628211u;
    return *this;
  }
  void print(const char* name) const {
    std::printf("%s %016llx\n", name, static_cast<unsigned long long>(hash_));
  }

 private:
  uint64_t hash_ = 14695981039346656037u;
};

Matrix<float> matrix(const std::vector<float>& of, int64_t rows, int64_t columns, bool transposed) {
  return {of.data(), rows, columns, transposed ? rows : columns, transposed};
}

void product(Digest& digest, int64_t rows, int64_t depth, int64_t columns) {
  for (int kind = 0; kind < 4; ++kind) {
    const auto left = numbers(rows * depth), right = numbers(depth * columns);
    auto out = numbers(rows * columns);
    const Factor<float> factor(matrix(right, depth, columns, kind & 1));
    factor.multiply(matrix(left, rows, depth, kind & 2), out.data(), columns, false);
    digest << out;
    factor.multiply(matrix(left, rows, depth, kind & 2), out.data(), columns, true);
    digest << out;
  }
}

void products() {
  Digest digest;
  const int64_t sizes[][3] = {{5, 7, 3}, {1, 1, 1}, {1, 33, 70}, {2, 40, 97}, {20, 50, 66},
                              {13, 771, 17}, {131, 3, 35}};
  for (const auto& [rows, depth, columns] : sizes) product(digest, rows, depth, columns);
  digest.print("products");
}

// Each height of a tile, up to 12 rows, with several whole panels of up to 32 columns and a part.
void tiles() {
  Digest digest;
  for (int64_t rows = 1; rows <= 13; ++rows) product(digest, rows, 6, 4 * 32 + 3);
  digest.print("tiles");
}

// Several blocks of rows and of depth at once.
void blocks() {
  Digest digest;
  product(digest, 131, 1290, 49);
  digest.print("blocks");
}

void layer(Digest& digest, const Cell& cell, int64_t gates, int64_t width) {
  const int64_t time = 3, batch = 5, rows = gates * width, size = time * batch;
  auto made = numbers(size * rows, 4);
  const auto hidden = numbers(batch * width), memory = numbers(batch * width);
  const auto weight = numbers(rows * width), bias_ih = numbers(rows), bias_hh = numbers(rows);
  std::vector<float> output(size * width), memories(size * width);
  over_time(cell, time, batch, rows, width, made.data(), hidden.data(), memory.data(),
            matrix(weight, rows, width, false), bias_ih.data(), bias_hh.data(), output.data(),
            memories.data());
  digest << made << output;
  const auto d_output = numbers(size * width);
  auto d_hidden = numbers(batch * width), d_memory = numbers(batch * width);
  std::vector<float> d_gates(size * rows), d_recurrent(size * rows);
  back_over_time(cell, time, batch, rows, width, made.data(), output.data(), memories.data(),
                 hidden.data(), memory.data(), matrix(weight, rows, width, false),
                 d_output.data(), d_hidden.data(), d_memory.data(), d_gates.data(),
                 gates == 3 ? d_recurrent.data() : d_gates.data());
  digest << d_gates << d_recurrent << d_hidden;
  if (cell.has_memory) digest << d_memory;
}

void layer(const char* name, const Cell& cell, int64_t gates) {
  Digest digest;
  layer(digest, cell, gates, 23);
  digest.print(name);
}

void decoders() {
  Digest digest;
  const int64_t rows = LOGIT_ROWS + 3, features = 9, words = 37;
  const auto read = numbers(rows * features, 3), weight = numbers(words * features, 3);
  const auto bias = numbers(words);
  std::vector<int64_t> targets(rows);
  for (int64_t row = 0; row < rows; ++row) targets[row] = row * 7 % words;
  std::vector<float> losses(rows), by_read(rows * features), by_weight(words * features);
  std::vector<float> by_bias(words);
  const DecoderGradient gradient{by_read.data(), by_weight.data(), by_bias.data()};
  decode(matrix(read, rows, features, false), matrix(weight, words, features, false), bias.data(),
         targets.data(), losses.data(), &gradient);
  digest << losses << by_read << by_weight << by_bias;
  decode(matrix(read, rows, features, false), matrix(weight, words, features, false), bias.data(),
         targets.data(), losses.data(), nullptr);
  (digest << losses).print("decoder");
}

void elementary() {
  Digest digest;
  auto from = numbers(4001, 100);
  from.insert(from.end(), {0.f, -0.f, 1e-40f, 1e-30f, 3e38f, -3e38f});
  std::vector<float> to(from.size());
  const int64_t count = from.size();
  kernels().exp(count, from.data(), to.data());
  digest << to;
  kernels().tanh(count, from.data(), to.data());
  digest << to;
  for (float& value : from) value = value < 0 ? -value : value;
  kernels().log(count, from.data(), to.data());
  digest << to;
  kernels().sqrt(count, from.data(), to.data());
  digest << to;
  kernels().add(count, from.data(), to.data());
  kernels().add_scaled(count, 0.7f, from.data(), to.data());
  (digest << to).print("elementary");
}

void specials() {
  Digest digest;
  using Of = std::numeric_limits<float>;
  const float largest = Of::max(), smallest = Of::denorm_min(), normal = Of::min();
  std::vector<float> from;
  for (float value : {0.f, smallest, normal / 2, normal, 1e-10f, 0.5f, 1.f, 87.f, 88.f, 88.5f, 89.f,
                      104.f, largest, Of::infinity()})
    from.insert(from.end(), {value, -value});
  std::vector<float> to(from.size());
  for (const auto kernel : {kernels().exp, kernels().tanh, kernels().log}) {
    kernel(from.size(), from.data(), to.data());
    digest << to;
  }
  digest.print("specials");
}

void sums() {
  std::vector<double> found;
  std::vector<float> softmax;
  Digest digest;
  for (int64_t count : {1, 15, 16, 17, 1000}) {
    const auto one = numbers(count), other = numbers(count);
    found.push_back(kernels().sum(count, one.data()));
    found.push_back(kernels().sum_of_squares(count, one.data()));
    found.push_back(kernels().sum_of_squared_changes(count, one.data(), other.data()));
    softmax.resize(count);
    kernels().softmax(count, one.data(), softmax.data());
    digest << softmax;
  }
  (digest << found).print("sums");
}

void attention(Digest& digest, int64_t width, int64_t window) {
  const auto past = numbers(width * window), keys = numbers(width * window);
  const auto query = numbers(width), score = numbers(width), d_remembered = numbers(width);
  const Attention of{width, window, width, past.data(), keys.data(), query.data(), score.data()};
  std::vector<float> weights(window), remembered(width);
  kernels().attend(of, weights.data(), remembered.data());
  auto d_past = numbers(width * window), d_keys = numbers(width * window);
  auto d_query = numbers(width), d_score = numbers(width);
  kernels().attend_backward(of, weights.data(), d_remembered.data(), d_past.data(), d_keys.data(),
                            d_query.data(), d_score.data());
  digest << weights << remembered << d_past << d_keys << d_query << d_score;
}

void attention() {
  Digest digest;
  attention(digest, 21, 6);
  digest.print("attention");
}

void updates(Digest& digest, int64_t count) {
  auto parameter = numbers(count), mean = numbers(count), square = numbers(count);
  for (float& value : square) value *= value;
  std::vector<double> average(count);
  for (int step = 0; step < 3; ++step) {
    kernels().sgd(count, 0.3f, 1e-3f, 0.7f, numbers(count).data(), parameter.data());
    kernels().adamw(count, {1e-3f, 0.01f, 0.5f, 0.9f, 0.999f, 1e-8f, 1e-2f, 0.03f},
                    numbers(count).data(), parameter.data(), mean.data(), square.data());
    kernels().average(count, 1.0 / (step + 1), parameter.data(), average.data());
  }
  digest << parameter << mean << square << average;
}

void updates() {
  Digest digest;
  updates(digest, 1003);
  digest.print("updates");
}

// Each length up to two vectors of 16 lanes and more: what a compiler makes of the rest of a loop.
void lengths() {
  Digest digest;
  for (int64_t count = 1; count <= 40; ++count) {
    const auto one = numbers(count, 4), other = numbers(count, 4), bias = numbers(count);
    std::vector<float> positive = one, to(count);
    for (float& value : positive) value *= value;
    for (const auto kernel : {kernels().exp, kernels().tanh, kernels().softmax, kernels().add}) {
      kernel(count, one.data(), to.data());
      digest << to;
    }
    kernels().add_scaled(count, 0.7f, other.data(), to.data());
    digest << to;
    for (const auto kernel : {kernels().log, kernels().sqrt}) {
      kernel(count, positive.data(), to.data());
      digest << to;
    }
    std::vector<float> row = one, losses(2);
    losses[0] = kernels().cross_entropy(count, row.data(), bias.data(), count / 2);
    row = one;
    losses[1] = kernels().cross_entropy_gradient(count, row.data(), bias.data(), count / 2, 0.3f,
                                                 to.data());
    digest << losses << row << to;
    digest << std::vector{kernels().sum(count, one.data()),
                          kernels().sum_of_squares(count, one.data()),
                          kernels().sum_of_squared_changes(count, one.data(), other.data())};
    layer(digest, kernels().lstm, 4, count);
    layer(digest, kernels().gru, 3, count);
    layer(digest, kernels().rnn, 1, count);
    attention(digest, count, count / 4 + 1);
    updates(digest, count);
  }
  digest.print("lengths");
}

}  // namespace

int main() {
  products();
  layer("lstm", kernels().lstm, 4);
  layer("gru", kernels().gru, 3);
  layer("rnn", kernels().rnn, 1);
  decoders();
  elementary();
  sums();
  attention();
  updates();
  tiles();
  specials();
  lengths();
  blocks();
}
