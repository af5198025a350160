#include "dcasenet/weights/pickle.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "dcasenet/labels.hpp"
#include "dcasenet/weights/pickle_codes.hpp"
#include "dcasenet/weights/pickle_input.hpp"
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

using Kind = PickleObject::Kind;
using pickle::Op;

/// Axes of a tensor; a convolution's weight has four.
constexpr std::size_t kMaxRank = 16;
constexpr std::size_t kMaxKeyDigits = 32;
constexpr ObjectId kMark = std::numeric_limits<ObjectId>::max();

enum class Function : std::uint8_t { kOrderedDict, kTensor, kParameter, kStorageType };

struct FunctionRow {
  std::string_view module, name;
  Function function;
  DType dtype;  // of a storage type
};
// The allow-list. FloatStorage and its kin stand in `torch`; their numbers are those of torch's own element types.
constexpr FunctionRow kFunctions[] = {
    {"collections", "OrderedDict", Function::kOrderedDict, {}},
    {"torch._utils", "_rebuild_tensor_v2", Function::kTensor, {}},
    {"torch._utils", "_rebuild_parameter", Function::kParameter, {}},
    {"torch", "DoubleStorage", Function::kStorageType, DType::kF64},
    {"torch", "FloatStorage", Function::kStorageType, DType::kF32},
    {"torch", "HalfStorage", Function::kStorageType, DType::kF16},
    {"torch", "BFloat16Storage", Function::kStorageType, DType::kBF16},
    {"torch", "LongStorage", Function::kStorageType, DType::kI64},
    {"torch", "IntStorage", Function::kStorageType, DType::kI32},
    {"torch", "ShortStorage", Function::kStorageType, DType::kI16},
    {"torch", "CharStorage", Function::kStorageType, DType::kI8},
    {"torch", "ByteStorage", Function::kStorageType, DType::kU8},
    {"torch", "BoolStorage", Function::kStorageType, DType::kBool},
};

class Machine : private PickleInput {
 public:
  using PickleInput::PickleInput;

  Pickle run() {
    for (std::int64_t count = 0; count < kMaxInstructions; ++count) {
      if (step(static_cast<Op>(next_instruction()))) {
        out_.size = position();
        return std::move(out_);
      }
    }
    refuse("more than ", kMaxInstructions, " instructions");
  }

 private:
  ObjectId make(PickleObject object) {
    out_.objects.push_back(std::move(object));
    return static_cast<ObjectId>(out_.objects.size() - 1);
  }
  void push(PickleObject object) { stack_.push_back(make(std::move(object))); }
  void push_integer(std::int64_t value) { push({.kind = Kind::kInteger, .integer = value}); }
  void push_text(std::string value) { push({.kind = Kind::kText, .text = std::move(value)}); }
  ObjectId top() const {
    if (stack_.empty() || stack_.back() == kMark) refuse("the stack is empty");
    return stack_.back();
  }
  ObjectId pop() {
    const ObjectId id = top();
    stack_.pop_back();
    return id;
  }
  /// What was pushed since the last mark, which goes as well.
  std::vector<ObjectId> pop_to_mark() {
    const auto mark = std::find(stack_.rbegin(), stack_.rend(), kMark);
    if (mark == stack_.rend()) refuse("no mark on the stack");
    std::vector<ObjectId> items(mark.base(), stack_.end());
    stack_.erase(mark.base() - 1, stack_.end());
    return items;
  }
  std::vector<ObjectId> pop_last(std::size_t count) {
    std::vector<ObjectId> items(count);
    for (std::size_t i = count; i > 0; --i) items[i - 1] = pop();
    return items;
  }
  PickleObject& top_of(Kind kind, const char* what) {
    PickleObject& object = out_.objects[top()];
    if (object.kind != kind) refuse(what);
    return object;
  }
  void append(const std::vector<ObjectId>& values) {
    auto& items = top_of(Kind::kList, "an element for what is no list").items;
    items.insert(items.end(), values.begin(), values.end());
  }
  void set_items(const std::vector<ObjectId>& pairs) {
    if (pairs.size() % 2 != 0) refuse("a key without a value");
    auto& items = top_of(Kind::kDict, "an entry for what is no dictionary").items;
    items.insert(items.end(), pairs.begin(), pairs.end());
  }
  void remember(std::uint32_t place) { memo_[place] = top(); }
  void recall(std::uint32_t place) {
    const auto it = memo_.find(place);
    if (it == memo_.end()) refuse("nothing was remembered as ", place);
    stack_.push_back(it->second);
  }

  // ---- what the permitted functions make

  const PickleObject& expect(ObjectId id, Kind kind, const char* what) const {
    const PickleObject& object = out_.objects[id];
    if (object.kind != kind) refuse(what, " is of another type");
    return object;
  }
  void push_function(const std::string& module, const std::string& name) {
    for (std::size_t i = 0; i < std::size(kFunctions); ++i) {
      if (module == kFunctions[i].module && name == kFunctions[i].name) {
        push({.kind = Kind::kFunction, .integer = static_cast<std::int64_t>(i)});
        return;
      }
    }
    fail(ErrorKind::kData, where(), ": the file asks for ", in_quotes(concat(module, ".", name)), " (byte ",
         instruction(), "); only tensors in dictionaries are read, and nothing is executed. ",
         "A file that you trust can be saved anew in Python: torch.save(model.state_dict(), PATH)");
  }
  const FunctionRow& function(ObjectId id) const {
    return kFunctions[expect(id, Kind::kFunction, "a function").integer];
  }

  // ('storage', FloatStorage, '0', 'cpu', 3); the old container adds None
  void persistent() {
    const std::vector<ObjectId>& id = expect(pop(), Kind::kTuple, "a storage").items;
    if (id.size() < 5 || id.size() > 6 || expect(id[0], Kind::kText, "a storage").text != "storage") {
      refuse("an unknown kind of storage");
    }
    const FunctionRow& type = function(id[1]);
    const std::string& key = expect(id[2], Kind::kText, "the name of a storage").text;
    const std::int64_t count = expect(id[4], Kind::kInteger, "the size of a storage").integer;
    if (type.function != Function::kStorageType) refuse("an unknown type of storage");
    if (id.size() == 6) expect(id[5], Kind::kNone, "a view of a storage");
    // Names of storages become names within the file: digits alone, so that none leads elsewhere.
    const bool digits = std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (key.empty() || key.size() > kMaxKeyDigits || !digits) refuse("a storage is called ", in_quotes(key));
    std::int64_t bytes = 0;
    if (count < 0 || __builtin_mul_overflow(count, static_cast<std::int64_t>(dtype_size(type.dtype)), &bytes)) {
      refuse("a storage of ", count, " elements");
    }
    const auto [known, is_new] = storage_by_key_.emplace(key, out_.storages.size());
    if (is_new) {
      out_.storages.push_back({.key = key, .dtype = type.dtype, .count = count});
    } else if (out_.storages[known->second].count != count || out_.storages[known->second].dtype != type.dtype) {
      refuse("storage ", key, " has two sizes");
    }
    push({.kind = Kind::kStorage, .integer = static_cast<std::int64_t>(known->second)});
  }

  std::vector<std::int64_t> integers(ObjectId tuple, const char* what) const {
    const std::vector<ObjectId>& items = expect(tuple, Kind::kTuple, what).items;
    if (items.size() > kMaxRank) refuse("a tensor of ", items.size(), " axes");
    std::vector<std::int64_t> values;
    for (const ObjectId id : items) values.push_back(expect(id, Kind::kInteger, what).integer);
    return values;
  }

  // (storage, offset, shape, strides, requires_grad, hooks[, metadata])
  void rebuild_tensor(const std::vector<ObjectId>& arguments) {
    if (arguments.size() < 6 || arguments.size() > 7) refuse("a tensor of ", arguments.size(), " arguments");
    PickledTensor t;
    t.storage = static_cast<std::size_t>(expect(arguments[0], Kind::kStorage, "the storage of a tensor").integer);
    t.offset = expect(arguments[1], Kind::kInteger, "the offset of a tensor").integer;
    t.shape = integers(arguments[2], "the shape of a tensor");
    t.strides = integers(arguments[3], "the strides of a tensor");
    if (t.shape.size() != t.strides.size()) refuse("a tensor with ", t.strides.size(), " strides");
    check_inside(t, out_.storages[t.storage].count);
    out_.tensors.push_back(std::move(t));
    push({.kind = Kind::kTensor, .integer = static_cast<std::int64_t>(out_.tensors.size() - 1)});
  }

  void check_inside(const PickledTensor& t, std::int64_t count) const {
    const auto outside = [&] {
      refuse("a tensor of shape ", shape_string(t.shape), ", strides ", shape_string(t.strides), " and offset ",
             t.offset, " leaves its storage of ", count, " elements");
    };
    bool empty = false;
    std::int64_t last = t.offset;  // the farthest element
    std::int64_t elements = 1;
    if (t.offset < 0 || t.offset > count) outside();
    for (std::size_t i = 0; i < t.shape.size(); ++i) {
      std::int64_t reach = 0;
      if (t.shape[i] < 0 || t.strides[i] < 0) outside();
      if (t.shape[i] == 0) {
        empty = true;
        continue;
      }
      if (__builtin_mul_overflow(t.shape[i] - 1, t.strides[i], &reach) || __builtin_add_overflow(last, reach, &last) ||
          __builtin_mul_overflow(elements, t.shape[i], &elements)) {
        outside();
      }
    }
    if (!empty && last >= count) outside();
  }

  // [[key, value], ...], as Python 2 pickles an OrderedDict
  void ordered_dict(const std::vector<ObjectId>& arguments) {
    PickleObject dict{.kind = Kind::kDict};
    if (arguments.size() > 1) refuse("an OrderedDict of ", arguments.size(), " arguments");
    if (!arguments.empty()) {
      const std::vector<ObjectId>& pairs = expect(arguments[0], Kind::kList, "the content of an OrderedDict").items;
      // The one place where an instruction may copy many entries, again and again.
      copied_ += pairs.size();
      if (copied_ > kMaxInstructions) refuse("more than ", kMaxInstructions, " entries");
      for (const ObjectId pair : pairs) {
        const PickleObject& p = out_.objects[pair];
        if ((p.kind != Kind::kList && p.kind != Kind::kTuple) || p.items.size() != 2) {
          refuse("an entry of an OrderedDict is no pair");
        }
        dict.items.insert(dict.items.end(), p.items.begin(), p.items.end());
      }
    }
    push(std::move(dict));
  }

  void reduce() {
    const std::vector<ObjectId>& arguments = expect(pop(), Kind::kTuple, "the arguments of a function").items;
    switch (function(pop()).function) {
      case Function::kOrderedDict:
        return ordered_dict(arguments);
      case Function::kTensor:
        return rebuild_tensor(arguments);
      case Function::kParameter:  // (tensor, requires_grad, hooks)
        if (arguments.empty()) refuse("a parameter without a tensor");
        expect(arguments[0], Kind::kTensor, "the tensor of a parameter");
        stack_.push_back(arguments[0]);
        return;
      case Function::kStorageType:
        break;
    }
    refuse("a storage type is called as a function");
  }

  void build() {
    const ObjectId state = pop();
    expect(state, Kind::kDict, "the attributes of an object");
    top_of(Kind::kDict, "attributes for what is no dictionary");
    out_.attributes[top()] = state;
  }

  /// One instruction; true at the end of the pickle.
  bool step(Op op) {
    switch (op) {
      case Op::kProto: {
        const int version = u8();
        if (version < 2 || version > 5) refuse("pickle protocol ", version);
        break;
      }
      case Op::kFrame:
        take(sizeof(std::uint64_t));  // a hint for readers of pipes
        break;
      case Op::kStop:
        out_.root = pop();
        if (!stack_.empty()) refuse("objects are left over at the end");
        return true;
      case Op::kMark:
        stack_.push_back(kMark);
        break;
      case Op::kPop:
        pop();
        break;
      case Op::kNone:
        push({});
        break;
      case Op::kNewTrue:
      case Op::kNewFalse:
        push({.kind = Kind::kBool, .integer = op == Op::kNewTrue ? 1 : 0});
        break;
      case Op::kBinInt:
        push_integer(number<std::int32_t>());
        break;
      case Op::kBinInt1:
        push_integer(u8());
        break;
      case Op::kBinInt2:
        push_integer(number<std::uint16_t>());
        break;
      case Op::kLong1:
        if (const std::uint8_t size = u8(); size <= sizeof(std::int64_t)) {
          push_integer(long_integer(size));
        } else {  // the seed of a generator, say; no size of a tensor
          take(size);
          push({.kind = Kind::kReal});
        }
        break;
      case Op::kBinFloat:
        take(sizeof(double));  // learning rates and the like: no part of a tensor
        push({.kind = Kind::kReal});
        break;
      case Op::kShortBinString:
      case Op::kShortBinUnicode:
        push_text(text(u8()));
        break;
      case Op::kBinString:
      case Op::kBinUnicode:
        push_text(text(number<std::uint32_t>()));
        break;
      case Op::kEmptyTuple:
        push({.kind = Kind::kTuple});
        break;
      case Op::kTuple:
        push({.kind = Kind::kTuple, .items = pop_to_mark()});
        break;
      case Op::kTuple1:
      case Op::kTuple2:
      case Op::kTuple3:
        push({.kind = Kind::kTuple,
              .items = pop_last(static_cast<std::size_t>(op) - static_cast<std::size_t>(Op::kTuple1) + 1)});
        break;
      case Op::kEmptyList:
        push({.kind = Kind::kList});
        break;
      case Op::kAppend:
        append(pop_last(1));
        break;
      case Op::kAppends:
        append(pop_to_mark());
        break;
      case Op::kEmptyDict:
        push({.kind = Kind::kDict});
        break;
      case Op::kSetItem:
        set_items(pop_last(2));
        break;
      case Op::kSetItems:
        set_items(pop_to_mark());
        break;
      case Op::kGlobal: {
        const std::string module = line();
        push_function(module, line());
        break;
      }
      case Op::kStackGlobal: {
        const std::vector<ObjectId> names = pop_last(2);
        const std::string module = expect(names[0], Kind::kText, "the module of a function").text;
        push_function(module, expect(names[1], Kind::kText, "the name of a function").text);
        break;
      }
      case Op::kReduce:
        reduce();
        break;
      case Op::kBuild:
        build();
        break;
      case Op::kBinPersid:
        persistent();
        break;
      case Op::kBinPut:
        remember(u8());
        break;
      case Op::kLongBinPut:
        remember(number<std::uint32_t>());
        break;
      case Op::kMemoize:
        remember(static_cast<std::uint32_t>(memo_.size()));
        break;
      case Op::kBinGet:
        recall(u8());
        break;
      case Op::kLongBinGet:
        recall(number<std::uint32_t>());
        break;
      default:
        refuse("instruction ", static_cast<int>(op), " is not among those that dictionaries of tensors need");
    }
    return false;
  }

  std::vector<ObjectId> stack_;
  std::unordered_map<std::uint32_t, ObjectId> memo_;
  std::unordered_map<std::string, std::size_t> storage_by_key_;
  std::uint64_t copied_ = 0;
  Pickle out_;
};

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where) { return Machine(bytes, where).run(); }

}  // namespace dcase
