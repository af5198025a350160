#include "engine/arena.hpp"

#include <cstdint>

#include "tests/support/test.hpp"

namespace dcase {

TEST_CASE("arena: a released block serves the next request of its size", "[arena]") {
  Arena arena;
  void* a = arena.allocate(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(a) % 64 == 0);
  CHECK(arena.statistics().growths == 1);
  CHECK(arena.statistics().bytes_in_use >= 1000);
  arena.release(a);
  CHECK(arena.statistics().bytes_in_use == 0);
  void* b = arena.allocate(990);
  CHECK(b == a);
  CHECK(arena.statistics().growths == 1);
  void* c = arena.allocate(990);
  CHECK(c != b);
  CHECK(arena.statistics().growths == 2);
  arena.release(b);
  arena.release(c);
  arena.trim();
  CHECK(arena.statistics().bytes_reserved == 0);
}

TEST_CASE("arena: a released block serves smaller requests down to half its size", "[arena]") {
  Arena arena;
  void* large = arena.allocate(400 * 1024);
  void* small = arena.allocate(200 * 1024);
  arena.release(large);
  arena.release(small);
  void* a = arena.allocate(199 * 1024);
  CHECK(a == small);  // the smallest that fits
  void* b = arena.allocate(199 * 1024);
  CHECK(b == large);
  arena.release(b);
  void* c = arena.allocate(100 * 1024);
  CHECK(c != large);
  CHECK(arena.statistics().growths == 3);
  arena.release(a);
  arena.release(c);
  CHECK(arena.statistics().bytes_in_use == 0);
}

TEST_CASE("arena: small blocks serve requests of their own size alone", "[arena]") {
  Arena arena;
  void* small = arena.allocate(128);
  arena.release(small);
  void* smaller = arena.allocate(64);
  CHECK(smaller != small);
  CHECK(arena.allocate(100) == small);
  CHECK(arena.statistics().growths == 2);
  arena.release(small);
  arena.release(smaller);
}

TEST_CASE("arena: kept memory takes no block that passing work will want again", "[arena]") {
  Arena arena;
  void* scratch = arena.allocate(4096);
  arena.release(scratch);
  void* kept = arena.allocate_kept(4096);
  CHECK(kept != scratch);
  CHECK(arena.allocate(4096) == scratch);
  CHECK(arena.statistics().growths == 2);
  arena.release(kept);
  arena.release(scratch);
}

TEST_CASE("arena: blocks of no bytes are distinct and a foreign pointer is ignored", "[arena]") {
  Arena arena;
  void* a = arena.allocate(0);
  void* b = arena.allocate(0);
  CHECK(a != b);
  int foreign = 0;
  arena.release(&foreign);
  arena.release(nullptr);
  CHECK(arena.statistics().bytes_in_use > 0);
  arena.release(a);
  arena.release(b);
}

}  // namespace dcase
