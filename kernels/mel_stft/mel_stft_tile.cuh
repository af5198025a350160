#pragma once
// Sizes of mel_fft_kernel and its addresses in shared memory, which a test holds against the banks.

namespace dcase::cuda {

inline constexpr int kFftSize = 2048;        // n_fft
inline constexpr int kFftPoints = 1024;      // of the complex transform: z[n] = y[2n] + i y[2n+1]
inline constexpr int kLongestWindow = 1024;  // at most 512 of the 1024 points are not zero
inline constexpr int kFftThreads = 256;      // 8 warps
inline constexpr int kFftFrames = 16;        // of a block: rows of out are written 64 bytes at a time
/// Floats of a frame in shared memory: 32 x 33 for the exchange, then 1025 powers. 2 modulo 32: see mel_power_address.
inline constexpr int kFramePitch = 1058;
inline constexpr int kFftSharedBytes = kFftFrames * kFramePitch * static_cast<int>(sizeof(float));

// Addresses in shared memory, in floats; the frame's place comes first.
/// Samples: lane l reads points l + 32 j as pairs.
constexpr int mel_sample_address(int lane, int j) { return 2 * (lane + 32 * j); }
/// The exchange: lane n writes its output k at (n, k), lane k reads (n, k) for all n. The odd pitch spreads both.
constexpr int mel_exchange_address(int n, int k) { return k * 33 + n; }
/// Powers in the filter bank: lanes are 16 frames and two neighbouring bins.
constexpr int mel_power_address(int lane, int bin) { return lane % kFftFrames * kFramePitch + bin + lane / kFftFrames; }

/// Where two transforms of 16 points, of the even and of the odd outputs, leave output k of 32.
constexpr int mel_place_32(int k) { return k % 2 * 16 + k / 2 / 4 + k / 2 % 4 * 4; }

}  // namespace dcase::cuda
