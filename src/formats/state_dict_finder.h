// Every dictionary of weights, and every module saved whole, in a checkpoint's pickle. Internal to
// state_dict.cpp, which chooses among them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/pickle.h"

namespace vitrail {

struct Candidate {
  std::string path;
  std::map<std::string, uint32_t> tensors;  // name to index of Pickle::tensors
  std::vector<std::string> unread;          // weights of types that Vitrail lacks
  int64_t elements = 0;
  // Of a module: it ("") and what is next to it ("module.").
  std::map<std::string, const PickleValue*> modules;
};

class StateDictFinder {
 public:
  StateDictFinder(const Pickle& pickle, const std::string& place);
  // In the order in which they are met, parts before the whole. Error: more entries or longer names
  // than any checkpoint has (a pickle of a few bytes may share parts without end).
  std::vector<Candidate> run();
  // The tensors of a TorchScript module, which keeps parameters, buffers and modules as attributes.
  Candidate script_module();

 private:
  const PickleValue& at(uint32_t index) const { return pickle_.at(index); }
  // The dictionary of an object's attributes; nullptr: it has none.
  const PickleValue* state_of(const PickleValue& value) const;
  const PickleValue* member(const PickleValue& dictionary, std::string_view name) const;

  void spend(size_t work);
  void visit(uint32_t index, const std::string& path, int depth);
  void visit_items(const PickleValue& dictionary, const std::string& path, int depth,
                   Candidate& own);
  void take_module(const PickleValue& module, const std::string& prefix, int depth,
                   Candidate& into);
  void take_script(const PickleValue& module, const std::string& prefix, int depth,
                   Candidate& into);
  void take_tensors(const PickleValue& dictionary, const std::string& prefix,
                    const PickleValue* left_out, Candidate& into);
  void add(Candidate& candidate, const std::string& name, uint32_t tensor) const;

  const Pickle& pickle_;
  const std::string& place_;
  size_t work_ = 0;
  const size_t max_work_;
  std::vector<Candidate> found_;
};

}  // namespace vitrail
