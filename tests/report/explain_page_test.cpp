#include "report/explain_page.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "report/attention_storage.h"
#include "report/text_encoding.h"
#include "support/random.h"

namespace vitrail {
namespace {

using nlohmann::json;

struct Size {
  int64_t grid = 4, heads = 2, head_dim = 8, depth = 3;
};

// As explain_picture makes it, of random queries and keys: lse is what softmax needs.
Explanation random_explanation(const Size& size) {
  Explanation explanation;
  explanation.layout = {.class_tokens = 1, .grid_height = size.grid, .grid_width = size.grid};
  explanation.stages = {explanation.layout};
  explanation.photo = Image(300, 200, 3);
  const std::vector<float> noise = testing::random_floats(300 * 200 * 3, 1, 0, 255);
  for (size_t i = 0; i < noise.size(); ++i)
    explanation.photo.pixels[i] = static_cast<uint8_t>(noise[i]);
  explanation.geometry.box = {50, 0, 250, 200};
  const int64_t n = explanation.layout.tokens();
  explanation.rollout.assign(static_cast<size_t>(n), 1.0f / static_cast<float>(n));
  for (int64_t i = 0; i < size.depth; ++i) {
    const auto seed = static_cast<uint64_t>(10 * i);
    explanation.layers.push_back(
        {.path = "blocks." + std::to_string(i) + ".attn",
         .heads = size.heads,
         .head_dim = size.head_dim,
         .scale = 1.0f / std::sqrt(static_cast<float>(size.head_dim)),
         .q = testing::random_tensor({size.heads, n, size.head_dim}, seed + 1, -3, 3),
         .k = testing::random_tensor({size.heads, n, size.head_dim}, seed + 2, -3, 3),
         .lse = Tensor::full({size.heads, n}, 5.0f),
         .queries = explanation.layout,
         .keys = explanation.layout});
  }
  return explanation;
}

std::string page_of(const Explanation& explanation, const ExplainPage& page = {}) {
  Queue queue(2);
  return explain_page(queue, explanation, page);
}

json data_of(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = html.find(open) + open.size();
  return json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

std::vector<std::byte> decode_base85(const std::string& text) {
  std::vector<std::byte> bytes;
  for (size_t at = 0; at < text.size(); at += 5) {
    uint64_t word = 0;
    for (size_t i = 0; i < 5; ++i) word = word * 85 + kBase85Alphabet.find(text[at + i]);
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::byte>(word >> (8 * i)));
  }
  return bytes;
}

std::vector<float> floats_of(const std::string& text, int64_t count) {
  const std::vector<std::byte> bytes = decode_base85(text);
  std::vector<float> values(static_cast<size_t>(count));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

TEST(TextEncoding, IsThatOfTheStandardsAndComesBack) {
  const auto base64 = [](std::string_view text) {
    return encode_base64(std::as_bytes(std::span(text)));
  };
  EXPECT_EQ(base64(""), "");  // RFC 4648, section 10
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  for (size_t size = 0; size < 20; ++size) {
    std::vector<std::byte> bytes(size, std::byte{0xff});
    const std::string text = encode_base85(bytes);
    EXPECT_EQ(text.size(), base85_size(size));
    std::vector<std::byte> back = decode_base85(text);
    back.resize(size);
    EXPECT_EQ(back, bytes);
  }
  for (const char c : std::string("\"\\<>&'`{{"))
    EXPECT_EQ(kBase85Alphabet.find(c) != std::string_view::npos, c == '{') << c;
}

TEST(ExplainPage, CarriesEverythingInSinglePrecisionWhereItFits) {
  const Explanation explanation = random_explanation({});
  const std::string html =
      page_of(explanation,
              {.picture_name = "cat.jpg",
               .model_name = "tiny",
               .predictions = {{.index = 3, .label = "a cat", .probability = 0.75}, {.index = 1}}});
  const json data = data_of(html);
  const json& attention = data["attention"];
  EXPECT_EQ(attention["precision"], "f32");
  EXPECT_EQ(attention["cell"], 1);
  ASSERT_EQ(attention["layers"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const LayerAttention& layer = explanation.layers[i];
    for (const auto& [key, tensor] :
         {std::pair("q", layer.q), std::pair("k", layer.k), std::pair("lse", layer.lse)})
      EXPECT_EQ(floats_of(attention["layers"][i][key], tensor.numel()),
                std::vector<float>(tensor.f32(), tensor.f32() + tensor.numel()));
  }
  EXPECT_EQ(floats_of(data["rollout"]["values"], 17), explanation.rollout);
  EXPECT_EQ(data["box"], json({50.0, 0.0, 250.0, 200.0}));
  EXPECT_EQ(data["layout"]["prefix"], json({"class"}));
  EXPECT_EQ(data["predictions"][0]["label"], "a cat");
  EXPECT_TRUE(data["predictions"][1]["label"].is_null());
  EXPECT_FALSE(data.contains("mask"));
  EXPECT_EQ(data["photo"]["source"].get<std::string>().substr(0, 26), "data:image/jpeg;base64,/9j");
}

TEST(ExplainPage, NamesMethodFormulaAndLimits) {
  Explanation explanation = random_explanation({});
  explanation.rollout_options = {.fusion = HeadFusion::max, .discard_ratio = 0.9};
  const std::string html = page_of(explanation, {.picture_name = "cat.jpg", .model_name = "tiny"});
  for (const char* text :
       {"Abnar and Zuidema 2020", "P = softmax(QKᵀ / √d)", "Ã = (A + I) / 2",
        "exp(scale · q·k − lse)", "Attention is where the model gathers from, not why it decides.",
        "<title>cat.jpg seen by tiny · Vitrail</title>"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
  const std::string note = data_of(html)["rollout"]["note"];
  EXPECT_NE(note.find("maximum, and the smallest"), std::string::npos) << note;
  EXPECT_NE(note.find("discard ratio 0.9"), std::string::npos) << note;
  EXPECT_EQ(html.find("{{title}}"), std::string::npos);
  // Nothing to fetch: what is loaded is in the page, and the policy forbids the rest.
  EXPECT_EQ(html.find("src=\"http"), std::string::npos);
  EXPECT_EQ(html.find("https://"), std::string::npos);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
}

TEST(ExplainPage, IsUnmovedByHostileNames) {
  const std::string label = "</script><script>alert(1)</script><!-- {{js}} \" \\ & \n";
  const ExplainPage page{.picture_name = "</title><img src=x onerror=alert(1)>\xff.jpg",
                         .model_name = "{{data}}&amp;<b>",
                         .predictions = {{.label = label, .probability = 1}}};
  const std::string html = page_of(random_explanation({}), page);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(html.find("<!--"), std::string::npos);
  EXPECT_NE(html.find("&lt;/title&gt;&lt;img src=x onerror=alert(1)&gt;\xEF\xBF\xBD.jpg"),
            std::string::npos);
  const json data = data_of(html);
  EXPECT_EQ(data["predictions"][0]["label"], label);
  EXPECT_EQ(data["model"], page.model_name);
}

TEST(ExplainPage, ShowsTheMaskWithItsShareOfEachPatch) {
  const Explanation explanation = random_explanation({.grid = 2});
  ExplainPage page{.mask = Image(300, 200, 1)};
  for (int y = 0; y < 100; ++y) std::fill_n(page.mask.row(y) + 50, 100, uint8_t{255});
  const json data = data_of(page_of(explanation, page));
  EXPECT_EQ(data["mask"]["coverage"], json({1.0, 0.0, 0.0, 0.0}));
  page.mask = Image(200, 300, 1);
  EXPECT_THROW(page_of(explanation, page), Error);
}

TEST(ExplainPage, StaysBelowTenMegabytes) {
  const std::string base = page_of(random_explanation({14, 12, 64, 12}));  // ViT-B/16 at 224
  EXPECT_LE(base.size(), kMaxPageBytes);
  const json attention = data_of(base)["attention"];
  EXPECT_EQ(attention["precision"], "f16");
  EXPECT_EQ(attention["layers"].size(), 12u);
  EXPECT_NE(attention["note"].get<std::string>().find("half precision"), std::string::npos);

  const std::string large = page_of(random_explanation({64, 12, 64, 12}));  // at 1024
  EXPECT_LE(large.size(), kMaxPageBytes);
  const json pooled = data_of(large)["attention"];
  EXPECT_GT(pooled["cell"], 1);
  EXPECT_GE(pooled["layers"].size(), 6u);
  EXPECT_EQ(pooled["layers"].front()["index"], 0);
  EXPECT_EQ(pooled["layers"].back()["index"], 11);
  EXPECT_NE(pooled["note"].get<std::string>().find("approximate"), std::string::npos);
}

TEST(StoragePlan, GivesUpPrecisionThenLayersThenPatches) {
  const Explanation explanation = random_explanation({.grid = 8, .depth = 7});
  const auto plan = [&](size_t bytes) { return plan_storage(explanation, bytes); };
  const std::vector<int64_t> all = {0, 1, 2, 3, 4, 5, 6};
  EXPECT_EQ(plan(1 << 20).layers, all);
  EXPECT_FALSE(plan(1 << 20).half);
  EXPECT_EQ(plan(60'000).layers, all);
  EXPECT_TRUE(plan(60'000).half);
  EXPECT_EQ(plan(20'000).layers, (std::vector<int64_t>{0, 3, 6}));
  EXPECT_EQ(plan(20'000).cell, 1);
  EXPECT_EQ(plan(12'000).cell, 2);
  EXPECT_GE(plan(12'000).layers.size(), 4u);
  EXPECT_TRUE(plan(100).layers.empty());
}

TEST(StoragePlan, SaysThatNothingFits) {
  Queue queue(1);
  const json attention = stored_attention(queue, random_explanation({}), {});
  EXPECT_TRUE(attention["layers"].empty());
  EXPECT_NE(attention["note"].get<std::string>().find("too large"), std::string::npos);
}

// Rows over cells sum to one, and equal the exact ones where all patches of a cell are alike.
TEST(PooledLayer, IsExactForPatchesThatAreAlike) {
  const Explanation explanation = random_explanation({.grid = 5});
  LayerAttention layer = explanation.layers[0];
  const auto cell_of = [](int64_t patch) { return patch / 5 / 2 * 3 + patch % 5 / 2; };
  for (const Tensor& tensor : {layer.q, layer.k})
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t p = 0; p < 25; ++p)
        for (int64_t i = 0; i < 8; ++i)
          tensor.f32()[(h * 26 + 1 + p) * 8 + i] =
              std::sin(static_cast<float>(1 + 7 * cell_of(p) + 3 * i + 11 * h));
  for (int64_t h = 0; h < 2; ++h)  // the true log-sum-exp
    for (int64_t t = 0; t < 26; ++t) {
      double sum = 0;
      for (int64_t j = 0; j < 26; ++j) {
        const float* q = layer.q.f32() + (h * 26 + t) * 8;
        sum += std::exp(layer.scale *
                        std::inner_product(q, q + 8, layer.k.f32() + (h * 26 + j) * 8, 0.0));
      }
      layer.lse.f32()[h * 26 + t] = static_cast<float>(std::log(sum));
    }
  const LayerAttention pooled = pooled_layer(layer, explanation.layout, 2);
  ASSERT_EQ(pooled.q.size(1), 1 + 9);
  Queue queue(1);
  for (const int64_t patch : {0, 4, 12, 24}) {
    const std::vector<float> exact = attention_row(queue, layer, 1, 1 + patch);
    const std::vector<float> cells = attention_row(queue, pooled, 1, 1 + cell_of(patch));
    EXPECT_NEAR(cells[0], exact[0], 1e-5);
    double sum = cells[0];
    for (int64_t p = 0; p < 25; ++p) {
      EXPECT_NEAR(cells[static_cast<size_t>(1 + cell_of(p))], exact[static_cast<size_t>(1 + p)],
                  1e-5);
      sum += cells[static_cast<size_t>(1 + cell_of(p))];
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

}  // namespace
}  // namespace vitrail
