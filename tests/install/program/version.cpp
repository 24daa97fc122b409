// What a stranger's program sees of the installed library: its version, by headers and by library,
// an exception that crosses the library's edge, and a picture's answer.
#include <vitrail/vitrail.h>

#include <cstring>
#include <iostream>

static_assert(VITRAIL_VERSION_NUMBER ==
              VITRAIL_VERSION_MAJOR * 10000 + VITRAIL_VERSION_MINOR * 100 + VITRAIL_VERSION_PATCH);

int main(int, char** argv) {
  if (std::strcmp(vit::version(), VITRAIL_VERSION) != 0) {
    std::cerr << "headers of " << VITRAIL_VERSION << ", library of " << vit::version() << "\n";
    return 1;
  }
  bool caught = false;
  try {
    vit::Model("no/such/model");
  } catch (const vit::Error& error) {
    caught = std::strstr(error.what(), "no/such/model") != nullptr;
  }
  if (!caught) {
    std::cerr << "the error was not caught, or does not name the model\n";
    return 1;
  }
  vit::Session session{vit::Model("scenes")};
  const vit::Classification answer = session.classify(argv[1]);
  if (answer.top.size() < 2 || answer.top[0].probability < answer.top[1].probability) return 1;
  std::cout << vit::version() << "\n";
}
