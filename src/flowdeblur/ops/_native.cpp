// The spatially variant RNN on CPUs for channels_last tensors: every step is one vector operation
// over the channels of a pixel. Compiled on demand by _native.py, called through ctypes.
//
// Features are (B, H, W, C), weights, states and their gradients (B, H, W, 4C); channel blocks of
// C belong to left>right, right>left, top>bottom and bottom>top.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

struct bfloat16 {
  uint16_t bits;
};

inline float load(const float* p) { return *p; }
inline void store(float* p, float v) { *p = v; }

inline float load(const bfloat16* p) {
  const uint32_t wide = static_cast<uint32_t>(p->bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

inline void store(bfloat16* p, float v) {  // rounds to nearest, ties to even; keeps NaN
  uint32_t wide;
  std::memcpy(&wide, &v, sizeof wide);
  const uint32_t rounded = (wide + 0x7fff + ((wide >> 16) & 1)) >> 16;
  p->bits = static_cast<uint16_t>(v == v ? rounded : 0x7fc0);
}

// tanh(x) = (1 - e) / (1 + e) with e = exp(-2 |x|) = 2^n 2^r, and the series of x near 0, where the
// difference would cancel. The error stays below 1.5e-7.
inline float tanh_fast(float x) {
  const float a = std::fabs(x) < 10.f ? std::fabs(x) : 10.f;
  const float y = -2.885390082f * a;  // -2 |x| / ln 2
  const float n = std::nearbyint(y);
  const float r = (y - n) * 0.6931471806f;
  float e = 1.f + r * (1.f + r * (0.5f + r * (1.f / 6 + r * (1.f / 24 + r * (1.f / 120 + r / 720)))));
  const int32_t exponent = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &exponent, sizeof power);
  e *= power;
  const float far = std::copysign((1.f - e) / (1.f + e), x);
  const float s = x * x;
  const float near = x * (1.f + s * (-1.f / 3 + s * (2.f / 15 + s * (-17.f / 315))));
  const float value = a < 0.1f ? near : far;
  return x == x ? value : x;
}

inline float activate(float w, bool tanh) { return tanh ? tanh_fast(w) : w; }

// Calls f(k) for k from 0 to c, in vectors of 16 and then of 8: 24 channels fill them.
template <typename F>
inline void each(int64_t c, F f) {
  const int64_t whole = c / 16 * 16;
#pragma omp simd
  for (int64_t k = 0; k < whole; ++k) f(k);
#pragma omp simd simdlen(8)
  for (int64_t k = whole; k < c; ++k) f(k);
}

// Fetches `count` values into the cache early: the hardware foresees neither columns nor the blocks
// of a pixel. Addresses beyond the tensor do no harm.
template <typename T>
inline void prefetch(const T* p, int64_t count) {
  const char* start = reinterpret_cast<const char*>(p);
  for (int64_t offset = 0; offset < count * static_cast<int64_t>(sizeof(T)); offset += 64)
    __builtin_prefetch(start + offset);
}

constexpr int64_t kAhead = 4;  // steps
constexpr int64_t kColumns = 8;  // neighbouring columns that a task walks together

struct Shape {
  int64_t batch, channels, height, width;
};

// A bundle of `lanes` parallel lines of `steps` steps; offsets in pixels.
struct Lines {
  int64_t first, steps, step, lanes;
};

int64_t row_tasks(const Shape& s) { return s.batch * s.height; }
int64_t column_tasks(const Shape& s) { return s.batch * ((s.width + kColumns - 1) / kColumns); }

Lines row(const Shape& s, int64_t task) { return {task * s.width, s.width, 1, 1}; }

Lines columns(const Shape& s, int64_t task) {
  const int64_t groups = (s.width + kColumns - 1) / kColumns;
  const int64_t x = task % groups * kColumns;
  const int64_t lanes = s.width - x < kColumns ? s.width - x : kColumns;
  return {task / groups * s.height * s.width + x, s.height, s.width, lanes};
}

template <typename T>
void sweep(const T* f, const T* w, T* out, const Shape& s, const Lines& l, int block, bool tanh,
           float* state) {
  const int64_t c = s.channels;
  const int64_t ahead = (block & 1 ? -kAhead : kAhead) * l.step;
  std::memset(state, 0, sizeof(float) * l.lanes * c);
  for (int64_t t = 0; t < l.steps; ++t) {
    const int64_t pixel = l.first + (block & 1 ? l.steps - 1 - t : t) * l.step;
    for (int64_t lane = 0; lane < l.lanes; ++lane) {
      const T* fp = f + (pixel + lane) * c;
      const T* wp = w + ((pixel + lane) * 4 + block) * c;
      T* hp = out + ((pixel + lane) * 4 + block) * c;
      float* h = state + lane * c;
      prefetch(fp + ahead * c, c);
      prefetch(wp + 4 * ahead * c, c);
      prefetch(hp + 4 * ahead * c, c);
      each(c, [=](int64_t k) {
        const float x = load(fp + k);
        h[k] = x + activate(load(wp + k), tanh) * (h[k] - x);
        store(hp + k, h[k]);
      });
    }
  }
}

// Gradients of one direction: G_t = grad_t + w_{t+1} G_{t+1}; the gradient of w_t is
// G_t (h_{t-1} - f_t), that of f_t gains (1 - w_t) G_t.
template <typename T>
void sweep_back(const T* f, const T* w, const T* grad, float* grad_f, T* grad_w, const Shape& s,
                const Lines& l, int block, bool tanh, float* poles, float* before, float* carry) {
  const int64_t c = s.channels, size = l.lanes * c;
  const int64_t ahead = (block & 1 ? -kAhead : kAhead) * l.step;
  std::memset(carry, 0, sizeof(float) * size);
  for (int64_t t = 0; t < l.steps; ++t) {
    const int64_t pixel = l.first + (block & 1 ? l.steps - 1 - t : t) * l.step;
    for (int64_t lane = 0; lane < l.lanes; ++lane) {
      const T* fp = f + (pixel + lane) * c;
      const T* wp = w + ((pixel + lane) * 4 + block) * c;
      float* p = poles + t * size + lane * c;
      float* b = before + t * size + lane * c;
      float* h = carry + lane * c;
      prefetch(fp + ahead * c, c);
      prefetch(wp + 4 * ahead * c, c);
      each(c, [=](int64_t k) {
        const float x = load(fp + k);
        p[k] = activate(load(wp + k), tanh);
        b[k] = h[k] - x;
        h[k] = x + p[k] * b[k];
      });
    }
  }
  std::memset(carry, 0, sizeof(float) * size);
  for (int64_t t = l.steps - 1; t >= 0; --t) {
    const int64_t pixel = l.first + (block & 1 ? l.steps - 1 - t : t) * l.step;
    for (int64_t lane = 0; lane < l.lanes; ++lane) {
      const T* gp = grad + ((pixel + lane) * 4 + block) * c;
      T* gw = grad_w + ((pixel + lane) * 4 + block) * c;
      float* gf = grad_f + (pixel + lane) * c;
      const float* p = poles + t * size + lane * c;
      const float* b = before + t * size + lane * c;
      float* g = carry + lane * c;
      prefetch(gp - 4 * ahead * c, c);
      prefetch(gw - 4 * ahead * c, c);
      prefetch(gf - ahead * c, c);
      each(c, [=](int64_t k) {
        const float whole = load(gp + k) + g[k];
        const float slope = tanh ? 1.f - p[k] * p[k] : 1.f;
        store(gw + k, whole * b[k] * slope);
        gf[k] += (1.f - p[k]) * whole;
        g[k] = p[k] * whole;
      });
    }
  }
}

template <typename T>
void forward(const T* f, const T* w, T* out, const Shape& s, bool tanh, int threads) {
  const int64_t rows = row_tasks(s), total = rows + column_tasks(s);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> state(kColumns * s.channels);
#pragma omp for schedule(dynamic, 4)
    for (int64_t task = 0; task < total; ++task) {
      const bool vertical = task >= rows;
      const Lines l = vertical ? columns(s, task - rows) : row(s, task);
      for (int sense = 0; sense < 2; ++sense)
        sweep(f, w, out, s, l, 2 * vertical + sense, tanh, state.data());
    }
  }
}

template <typename T>
void backward(const T* f, const T* w, const T* grad, float* grad_f, T* grad_w, const Shape& s,
              bool tanh, int threads) {
#pragma omp parallel num_threads(threads)
  {
    const int64_t longest = s.width > s.height * kColumns ? s.width : s.height * kColumns;
    std::vector<float> poles(longest * s.channels), before(longest * s.channels);
    std::vector<float> carry(kColumns * s.channels);
    for (int vertical = 0; vertical < 2; ++vertical) {  // rows end before columns add to them
#pragma omp for schedule(dynamic, 4)
      for (int64_t task = 0; task < (vertical ? column_tasks(s) : row_tasks(s)); ++task) {
        const Lines l = vertical ? columns(s, task) : row(s, task);
        for (int sense = 0; sense < 2; ++sense)
          sweep_back(f, w, grad, grad_f, grad_w, s, l, 2 * vertical + sense, tanh, poles.data(),
                     before.data(), carry.data());
      }
    }
  }
}

}  // namespace

#define DEFINE(NAME, T)                                                                           \
  extern "C" void forward_##NAME(const T* f, const T* w, T* out, int64_t b, int64_t c, int64_t h, \
                                 int64_t width, int tanh, int threads) {                          \
    forward(f, w, out, Shape{b, c, h, width}, tanh, threads);                                     \
  }                                                                                               \
  extern "C" void backward_##NAME(const T* f, const T* w, const T* g, float* gf, T* gw, int64_t b, \
                                  int64_t c, int64_t h, int64_t width, int tanh, int threads) {   \
    backward(f, w, g, gf, gw, Shape{b, c, h, width}, tanh, threads);                              \
  }

DEFINE(float32, float)
DEFINE(bfloat16, bfloat16)
