// The published architectures beside a file: what the one that is named fixes, and which its names
// and shapes fit. Weights of several have the same shapes, so a fit alone settles nothing.
#pragma once

#include <initializer_list>
#include <string>

#include "models/families/reading/draft.h"

namespace vitrail {

class Family;

// What `--set architecture` fixes, of the family's own definitions. Error: no such architecture, or
// one whose tensors these are not.
void settle_from_published(ConfigDraft& draft, const Family& family);
// Error: `--set architecture` of a family without published definitions.
void refuse_architecture(const ConfigDraft& draft, const Family& family);
// The published architectures of the families that these names and shapes fit: candidates, which
// settle nothing.
void find_candidates(ConfigDraft& draft, std::initializer_list<const Family*> families);

// The first field in which the tensors differ from `model`, in words: "embed_dim 192, and the
// tensors have 96"; empty when they are its own. The number of classes, the channels of pictures
// and their size are not compared: they change without another definition.
std::string difference(const ConfigDraft& draft, const VitConfig& model);

// What names and shapes leave open, from a model whose tensors these are.
void settle_from_model(ConfigDraft& draft, const VitConfig& model, const std::string& source);

}  // namespace vitrail
