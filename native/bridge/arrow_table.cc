#include "bridge/arrow_table.h"

namespace millrace::bridge {

namespace {

// private_data of the table's own stream is the table. DuckDB copies the struct once per scan, private_data as it is; the
// copy's first get_next gives it a cursor of its own (release == release_cursor tells), so scans never share a position.
struct Cursor {
  const ArrowTable* table;
  size_t next = 0;
};

void release_cursor(ArrowArrayStream* stream) {
  delete static_cast<Cursor*>(stream->private_data);
  stream->release = nullptr;
}
void release_nothing(ArrowArrayStream* stream) { stream->release = nullptr; }

// One ArrowArray tree of a batch, freed as a whole with its root. LIFETIME: children of a root that DuckDB moved out carry
// their own shared hold, so each node is independent.
struct ArrayNode {
  std::vector<const void*> buffers;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> child_pointers;
  ArrowArray dictionary{};
};

void release_array(ArrowArray* array) {
  auto* node = static_cast<ArrayNode*>(array->private_data);
  for (ArrowArray& child : node->children)
    if (child.release != nullptr) child.release(&child);
  if (node->dictionary.release != nullptr) node->dictionary.release(&node->dictionary);
  array->release = nullptr;
  delete node;
}

ArrayNode* make_array(ArrowArray* out, int64_t length, int64_t null_count) {
  auto* node = new ArrayNode;
  *out = {};
  out->length = length;
  out->null_count = null_count;
  out->release = release_array;
  out->private_data = node;
  return node;
}

void seal_array(ArrowArray* out, ArrayNode* node) {
  for (ArrowArray& child : node->children) node->child_pointers.push_back(&child);
  out->n_buffers = static_cast<int64_t>(node->buffers.size());
  out->buffers = node->buffers.data();
  out->n_children = static_cast<int64_t>(node->children.size());
  out->children = node->child_pointers.data();
  if (node->dictionary.release != nullptr) out->dictionary = &node->dictionary;
}

// A buffer of length 0 may come as nullptr; DuckDB computes addresses from it all the same.
const uint8_t kEmpty[64] = {};

void fill_batch(const ArrowTable& table, const TableBatch& batch, ArrowArray* out) {
  ArrayNode* root = make_array(out, batch.rows, 0);
  root->buffers = {nullptr};
  root->children.resize(table.columns().size());
  size_t at = 0;
  for (size_t i = 0; i < table.columns().size(); i++) {
    const TableColumn& column = table.columns()[i];
    const size_t count = ArrowTable::buffer_count(column);
    const bool nulls = batch.buffers[at].data != nullptr;
    ArrayNode* node = make_array(&root->children[i], batch.rows, nulls ? -1 : 0);
    node->buffers.push_back(batch.buffers[at].data);
    for (size_t b = 1; b < count; b++) {
      const uint8_t* data = batch.buffers[at + b].data;
      node->buffers.push_back(data != nullptr ? data : kEmpty);
    }
    if (column.has_dictionary) {
      ArrayNode* values = make_array(&node->dictionary, static_cast<int64_t>(column.dictionary_offsets.size()) - 1, 0);
      values->buffers = {nullptr, column.dictionary_offsets.data(), column.dictionary_bytes.data()};
      seal_array(&node->dictionary, values);
    }
    seal_array(&root->children[i], node);
    at += count;
  }
  seal_array(out, root);
}

struct SchemaNode {
  std::string format;
  std::string name;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> child_pointers;
  ArrowSchema dictionary{};
};

void release_schema(ArrowSchema* schema) {
  auto* node = static_cast<SchemaNode*>(schema->private_data);
  for (ArrowSchema& child : node->children)
    if (child.release != nullptr) child.release(&child);
  if (node->dictionary.release != nullptr) node->dictionary.release(&node->dictionary);
  schema->release = nullptr;
  delete node;
}

SchemaNode* make_schema(ArrowSchema* out, const std::string& format, const std::string& name) {
  auto* node = new SchemaNode{.format = format, .name = name, .children = {}, .child_pointers = {}, .dictionary = {}};
  *out = {};
  out->format = node->format.c_str();
  out->name = node->name.c_str();
  out->flags = ARROW_FLAG_NULLABLE;
  out->release = release_schema;
  out->private_data = node;
  return node;
}

const ArrowTable* table_of(ArrowArrayStream* stream) {
  return stream->release == release_cursor ? static_cast<Cursor*>(stream->private_data)->table : static_cast<const ArrowTable*>(stream->private_data);
}

int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  const ArrowTable& table = *table_of(stream);
  SchemaNode* root = make_schema(out, "+s", "");
  root->children.resize(table.columns().size());
  for (size_t i = 0; i < table.columns().size(); i++) {
    const TableColumn& column = table.columns()[i];
    SchemaNode* node = make_schema(&root->children[i], column.format, column.name);
    if (column.has_dictionary) {
      make_schema(&node->dictionary, "u", "");
      root->children[i].dictionary = &node->dictionary;
    }
  }
  for (ArrowSchema& child : root->children) root->child_pointers.push_back(&child);
  out->n_children = static_cast<int64_t>(root->children.size());
  out->children = root->child_pointers.data();
  return 0;
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  if (stream->release != release_cursor) {
    stream->private_data = new Cursor{.table = static_cast<const ArrowTable*>(stream->private_data)};
    stream->release = release_cursor;
  }
  auto* cursor = static_cast<Cursor*>(stream->private_data);
  if (cursor->next == cursor->table->batches().size()) {
    *out = {};
    return 0;
  }
  fill_batch(*cursor->table, cursor->table->batches()[cursor->next++], out);
  return 0;
}

const char* get_last_error(ArrowArrayStream*) { return "the table's batches cannot be read"; }

}  // namespace

ArrowTable::ArrowTable(std::vector<TableColumn> columns, std::vector<TableBatch> batches)
    : columns_(std::move(columns)),
      batches_(std::move(batches)),
      stream_{.get_schema = get_schema, .get_next = get_next, .get_last_error = get_last_error, .release = release_nothing, .private_data = this} {}

}  // namespace millrace::bridge
