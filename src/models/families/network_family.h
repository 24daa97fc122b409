// NetworkFamily: what the families of networks other than the plain Vision Transformer have in
// common. A configuration, or the name of a published definition, says the whole model; the tensors
// are then matched with what that model has, and each difference is an error that names the tensor.
// timm/timm_network.h and hf/hf_network.h are the forms of two libraries.
#pragma once

#include <string>
#include <string_view>

#include "models/families/family.h"
#include "models/families/reading/draft.h"

namespace vitrail {

class NetworkFamily : public Family {
 public:
  // By the mark, whatever stands beside the file.
  std::optional<Claim> recognise(const FileEvidence& file) const override;
  ReadModel read(const FileReading& file) const final;
  bool suits(const NetworkConfig& config) const override { return config.type() == network(); }
  // As it is; the names of the family's tables say it all. Error: a network of another type, what
  // check_expressible() refuses.
  Adapted express(const NetworkConfig& config, const TensorSource& canonical) const final;

  // The type of network that its files hold (models/network_types.cpp).
  virtual std::string_view network() const = 0;
  // A whole name of a tensor, without the file's prefix, that every file of the family has and no
  // other family's: files without a configuration are recognised by it.
  virtual std::string_view mark() const = 0;
  // The canonical module of the head, whose rows are the classes.
  virtual std::string_view head() const { return "head"; }
  // Error naming what of such a model the family cannot say.
  virtual void check_expressible(const NetworkConfig& config) const;
  // Adds what its files have beside the parameters, and says in `folds` what its library does
  // otherwise.
  virtual void complete(Adapted& model) const;

 protected:
  // The model that the file and what stands beside it say. Error: nobody says which it is.
  virtual NetworkDraft begin(const FileReading& file) const = 0;
  // The family's own word for the answer of the head and for the preprocessing, where there is one.
  virtual void settle(NetworkDraft& draft, const FileReading& file) const = 0;

  // What the tensors say although the configuration says otherwise (a definition of another depth).
  virtual void follow_tensors(NetworkConfig& config, const FileReading& file) const;

  // --set architecture; "": it is not said.
  static std::string said_architecture(const Settings& settings);
  // The rows of the file's head; 0: it has none.
  int64_t classes_in(const FileReading& file) const;
  // Of model_names(), those that have exactly the tensors of the file.
  std::vector<std::string> models_with_tensors(const FileReading& file) const;
};

}  // namespace vitrail
