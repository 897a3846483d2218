// The part of DuckDB's stable C API that Millrace calls, resolved at run time from the libduckdb.so npm delivered.
// Declared here because the package ships no header; names and signatures are duckdb.h's.
#pragma once
#include <cstdint>
#include <string>

namespace millrace::bridge {

using idx_t = uint64_t;
using duckdb_database = struct DuckdbDatabase*;
using duckdb_connection = struct DuckdbConnection*;
using duckdb_config = struct DuckdbConfig*;
using duckdb_prepared_statement = struct DuckdbPrepared*;
using duckdb_pending_result = struct DuckdbPending*;
using duckdb_logical_type = struct DuckdbLogicalType*;
using duckdb_data_chunk = struct DuckdbDataChunk*;
using duckdb_vector = struct DuckdbVector*;
using duckdb_table_function = struct DuckdbTableFunction*;
using duckdb_bind_info = struct DuckdbBindInfo*;
using duckdb_init_info = struct DuckdbInitInfo*;
using duckdb_scalar_function = struct DuckdbScalarFunction*;
using duckdb_function_info = struct DuckdbFunctionInfo*;
using duckdb_value = struct DuckdbValue*;
using duckdb_delete_callback = void (*)(void*);
using duckdb_bind_callback = void (*)(duckdb_bind_info);
using duckdb_init_callback = void (*)(duckdb_init_info);
using duckdb_function_callback = void (*)(duckdb_function_info, duckdb_data_chunk);
using duckdb_scalar_callback = void (*)(duckdb_function_info, duckdb_data_chunk, duckdb_vector);
enum duckdb_state : int { kDuckSuccess = 0, kDuckError = 1 };

// Passed by value to some calls, so the size matters: duckdb.h has exactly these six words.
struct duckdb_result {
  idx_t deprecated_column_count = 0;
  idx_t deprecated_row_count = 0;
  idx_t deprecated_rows_changed = 0;
  void* deprecated_columns = nullptr;
  char* deprecated_error_message = nullptr;
  void* internal_data = nullptr;
};
static_assert(sizeof(duckdb_result) == 48);

// How DuckDB keeps a VARCHAR: up to 12 bytes in place, longer ones by pointer behind a 4-byte prefix.
union duckdb_string_t {
  struct {
    uint32_t length;
    char prefix[4];
    const char* bytes;
  } out;
  struct {
    uint32_t length;
    char bytes[12];
  } in;
  uint32_t length() const { return in.length; }
  const char* bytes() const { return in.length <= 12 ? in.bytes : out.bytes; }
};
static_assert(sizeof(duckdb_string_t) == 16);

enum DuckType : int {
  kBoolean = 1, kTinyint = 2, kSmallint = 3, kInteger = 4, kBigint = 5,
  kUtinyint = 6, kUsmallint = 7, kUinteger = 8, kUbigint = 9,
  kFloat = 10, kDouble = 11, kTimestamp = 12, kDate = 13, kTime = 14, kInterval = 15,
  kHugeint = 16, kVarchar = 17, kBlob = 18, kDecimal = 19,
  kTimestampS = 20, kTimestampMs = 21, kTimestampNs = 22, kTimestampTz = 31,
};

enum DuckStatement : int { kStatementSelect = 1 };

#define MILLRACE_DUCKDB_API(X)                                                                                   \
  X(duckdb_library_version, const char*, ())                                                                      \
  X(duckdb_create_config, duckdb_state, (duckdb_config*))                                                         \
  X(duckdb_set_config, duckdb_state, (duckdb_config, const char*, const char*))                                   \
  X(duckdb_destroy_config, void, (duckdb_config*))                                                                \
  X(duckdb_open_ext, duckdb_state, (const char*, duckdb_database*, duckdb_config, char**))                        \
  X(duckdb_close, void, (duckdb_database*))                                                                       \
  X(duckdb_connect, duckdb_state, (duckdb_database, duckdb_connection*))                                          \
  X(duckdb_disconnect, void, (duckdb_connection*))                                                                \
  X(duckdb_interrupt, void, (duckdb_connection))                                                                  \
  X(duckdb_free, void, (void*))                                                                                   \
  X(duckdb_prepare, duckdb_state, (duckdb_connection, const char*, duckdb_prepared_statement*))                   \
  X(duckdb_prepare_error, const char*, (duckdb_prepared_statement))                                               \
  X(duckdb_destroy_prepare, void, (duckdb_prepared_statement*))                                                   \
  X(duckdb_prepared_statement_type, int, (duckdb_prepared_statement))                                             \
  X(duckdb_prepared_statement_column_count, idx_t, (duckdb_prepared_statement))                                   \
  X(duckdb_prepared_statement_column_type, int, (duckdb_prepared_statement, idx_t))                               \
  X(duckdb_prepared_statement_column_name, const char*, (duckdb_prepared_statement, idx_t))                       \
  X(duckdb_pending_prepared, duckdb_state, (duckdb_prepared_statement, duckdb_pending_result*))                   \
  X(duckdb_pending_prepared_streaming, duckdb_state, (duckdb_prepared_statement, duckdb_pending_result*))         \
  X(duckdb_execute_pending, duckdb_state, (duckdb_pending_result, duckdb_result*))                                \
  X(duckdb_pending_error, const char*, (duckdb_pending_result))                                                   \
  X(duckdb_destroy_pending, void, (duckdb_pending_result*))                                                       \
  X(duckdb_result_error, const char*, (duckdb_result*))                                                           \
  X(duckdb_destroy_result, void, (duckdb_result*))                                                                \
  X(duckdb_column_count, idx_t, (duckdb_result*))                                                                 \
  X(duckdb_column_name, const char*, (duckdb_result*, idx_t))                                                     \
  X(duckdb_column_logical_type, duckdb_logical_type, (duckdb_result*, idx_t))                                     \
  X(duckdb_destroy_logical_type, void, (duckdb_logical_type*))                                                    \
  X(duckdb_get_type_id, int, (duckdb_logical_type))                                                               \
  X(duckdb_decimal_width, uint8_t, (duckdb_logical_type))                                                         \
  X(duckdb_decimal_scale, uint8_t, (duckdb_logical_type))                                                         \
  X(duckdb_decimal_internal_type, int, (duckdb_logical_type))                                                     \
  X(duckdb_fetch_chunk, duckdb_data_chunk, (duckdb_result))                                                       \
  X(duckdb_data_chunk_get_size, idx_t, (duckdb_data_chunk))                                                       \
  X(duckdb_data_chunk_get_vector, duckdb_vector, (duckdb_data_chunk, idx_t))                                      \
  X(duckdb_destroy_data_chunk, void, (duckdb_data_chunk*))                                                        \
  X(duckdb_vector_get_data, void*, (duckdb_vector))                                                               \
  X(duckdb_vector_get_validity, uint64_t*, (duckdb_vector))                                                       \
  X(duckdb_data_chunk_set_size, void, (duckdb_data_chunk, idx_t))                                                 \
  X(duckdb_vector_ensure_validity_writable, void, (duckdb_vector))                                                \
  X(duckdb_vector_size, idx_t, ())                                                                                \
  X(duckdb_create_logical_type, duckdb_logical_type, (int))                                                       \
  X(duckdb_create_decimal_type, duckdb_logical_type, (uint8_t, uint8_t))                                          \
  X(duckdb_create_table_function, duckdb_table_function, ())                                                      \
  X(duckdb_destroy_table_function, void, (duckdb_table_function*))                                                \
  X(duckdb_table_function_set_name, void, (duckdb_table_function, const char*))                                   \
  X(duckdb_table_function_add_parameter, void, (duckdb_table_function, duckdb_logical_type))                      \
  X(duckdb_table_function_set_extra_info, void, (duckdb_table_function, void*, duckdb_delete_callback))           \
  X(duckdb_table_function_set_bind, void, (duckdb_table_function, duckdb_bind_callback))                          \
  X(duckdb_table_function_set_init, void, (duckdb_table_function, duckdb_init_callback))                          \
  X(duckdb_table_function_set_function, void, (duckdb_table_function, duckdb_function_callback))                  \
  X(duckdb_table_function_supports_projection_pushdown, void, (duckdb_table_function, bool))                      \
  X(duckdb_register_table_function, duckdb_state, (duckdb_connection, duckdb_table_function))                     \
  X(duckdb_bind_get_extra_info, void*, (duckdb_bind_info))                                                        \
  X(duckdb_bind_get_parameter, duckdb_value, (duckdb_bind_info, idx_t))                                           \
  X(duckdb_get_varchar, char*, (duckdb_value))                                                                    \
  X(duckdb_destroy_value, void, (duckdb_value*))                                                                  \
  X(duckdb_bind_add_result_column, void, (duckdb_bind_info, const char*, duckdb_logical_type))                    \
  X(duckdb_bind_set_bind_data, void, (duckdb_bind_info, void*, duckdb_delete_callback))                           \
  X(duckdb_bind_set_cardinality, void, (duckdb_bind_info, idx_t, bool))                                           \
  X(duckdb_bind_set_error, void, (duckdb_bind_info, const char*))                                                 \
  X(duckdb_init_get_bind_data, void*, (duckdb_init_info))                                                         \
  X(duckdb_init_set_init_data, void, (duckdb_init_info, void*, duckdb_delete_callback))                           \
  X(duckdb_init_get_column_count, idx_t, (duckdb_init_info))                                                      \
  X(duckdb_init_get_column_index, idx_t, (duckdb_init_info, idx_t))                                               \
  X(duckdb_init_set_max_threads, void, (duckdb_init_info, idx_t))                                                 \
  X(duckdb_vector_assign_string_element_len, void, (duckdb_vector, idx_t, const char*, idx_t))                     \
  X(duckdb_create_scalar_function, duckdb_scalar_function, ())                                                     \
  X(duckdb_destroy_scalar_function, void, (duckdb_scalar_function*))                                               \
  X(duckdb_scalar_function_set_name, void, (duckdb_scalar_function, const char*))                                  \
  X(duckdb_scalar_function_add_parameter, void, (duckdb_scalar_function, duckdb_logical_type))                     \
  X(duckdb_scalar_function_set_return_type, void, (duckdb_scalar_function, duckdb_logical_type))                   \
  X(duckdb_scalar_function_set_extra_info, void, (duckdb_scalar_function, void*, duckdb_delete_callback))          \
  X(duckdb_scalar_function_set_function, void, (duckdb_scalar_function, duckdb_scalar_callback))                   \
  X(duckdb_register_scalar_function, duckdb_state, (duckdb_connection, duckdb_scalar_function))                    \
  X(duckdb_scalar_function_get_extra_info, void*, (duckdb_function_info))                                          \
  X(duckdb_scalar_function_set_error, void, (duckdb_function_info, const char*))                                   \
  X(duckdb_function_get_init_data, void*, (duckdb_function_info))                                                 \
  X(duckdb_function_set_error, void, (duckdb_function_info, const char*))

struct DuckApi {
#define X(name, result, arguments) result(*name) arguments = nullptr;
  MILLRACE_DUCKDB_API(X)
#undef X
};

// Loads the library once per process; later calls must name the same path. Throws BridgeError MR_DUCKDB_LIBRARY.
const DuckApi& load_duckdb(const std::string& library_path);
// What load_duckdb loaded; for callbacks that DuckDB makes, which only happen after it.
const DuckApi& loaded_duckdb();

}  // namespace millrace::bridge
