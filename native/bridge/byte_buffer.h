// A growing, 64-byte aligned byte buffer whose memory can be handed over (to an external ArrayBuffer).
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace millrace::bridge {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept { swap(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~ByteBuffer() { std::free(bytes_); }

  uint8_t* data() const { return bytes_; }
  size_t size() const { return size_; }

  // Adds `count` bytes, unset, and returns where they start. Valid until the next call.
  uint8_t* extend(size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
    uint8_t* at = bytes_ + size_;
    size_ += count;
    return at;
  }
  void append(const void* from, size_t count) {
    if (count != 0) std::memcpy(extend(count), from, count);
  }
  // The caller frees with std::free.
  uint8_t* take() {
    size_ = capacity_ = 0;
    return std::exchange(bytes_, nullptr);
  }

 private:
  void swap(ByteBuffer& other) {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  void grow(size_t needed) {
    size_t wanted = capacity_ * 2 > needed ? capacity_ * 2 : needed;
    wanted = (wanted + 63) & ~size_t{63};
    auto* bigger = static_cast<uint8_t*>(std::aligned_alloc(64, wanted));
    if (bigger == nullptr) throw std::bad_alloc();
    if (size_ != 0) std::memcpy(bigger, bytes_, size_);
    std::free(bytes_);
    bytes_ = bigger;
    capacity_ = wanted;
  }

  uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace millrace::bridge
