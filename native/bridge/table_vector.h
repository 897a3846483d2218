// Rows of a registered table's column into a DuckDB vector.
#pragma once
#include "bridge/arrow_table.h"

namespace millrace::bridge {

// Fills `vector` with rows [from, from + rows) of `batch`. Strings are not copied: the vector points into the table.
// LIFETIME: DuckDB copies strings it keeps beyond a chunk; the table outlives every scan of it.
// Throws BridgeError when a value does not fit DuckDB's type.
void fill_vector(const DuckApi& api, const ArrowTable& table, size_t column, const TableBatch& batch, int64_t from, int64_t rows, duckdb_vector vector);

}  // namespace millrace::bridge
