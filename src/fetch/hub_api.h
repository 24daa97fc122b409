// The two questions that a hub answers: what a revision holds, and what one file of it is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fetch/download.h"
#include "fetch/hub_cache.h"
#include "fetch/hub_settings.h"

namespace vitrail {

struct HubFile {
  std::string name;
  ExpectedFile expected;  // as far as the listing says
};

struct HubListing {
  std::string commit;
  std::vector<HubFile> files;
};

struct HubFileInfo {
  std::string etag;  // names the content in the cache
  ExpectedFile expected;
};

class HubApi {
 public:
  HubApi(const HubSettings& settings, const HubModel& model) : settings_(settings), model_(model) {}

  // /api/models/OWNER/NAME/revision/R. Error: as pull().
  HubListing listing() const;
  // A HEAD of /resolve/COMMIT/FILE, which answers for the file itself or with a redirect to where
  // it lies; X-Linked-Etag and X-Linked-Size speak of that file.
  HubFileInfo info(const std::string& commit, const HubFile& file) const;
  // How the file itself is asked for.
  HttpRequest file_request(const std::string& commit, const std::string& file) const;
  // The refusal in words that say what to do.
  [[noreturn]] void refuse(const HttpAnswer& answer, const std::string& what) const;

 private:
  std::string resolve_url(const std::string& commit, const std::string& file) const;
  HttpRequest request(const std::string& url) const;

  const HubSettings& settings_;
  const HubModel& model_;
};

}  // namespace vitrail
