// RocksDB for Node.js, as the disk backend of Millrace uses it: one database a slot, everything synchronous, many entries a call.
//
// Strings come and go packed into one buffer, as packages/millrace/src/state/disk/packed.ts lays them out. Whatever comes in is checked
// against the end of its buffer. Databases are scratch: nothing is logged ahead, nothing is synchronised.
//
// All databases of the process share one block cache, which write buffers are charged to. A handle that JavaScript forgot is closed by the
// garbage collector, or at the end of its thread.
#define NAPI_VERSION 8
#include <malloc.h>
#include <node_api.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include "unsynced_files.h"

namespace {

using rocksdb::PinnableSlice;
using rocksdb::Slice;
using rocksdb::Status;

constexpr uint32_t kMissing = 0xffffffff;

// ---------------------------------------------------------------------------------------------------- memory of the process

struct Memory {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> buffers;
};

std::mutex memory_mutex;
std::weak_ptr<Memory> process_memory;

// The first database says how much; the last one gives it back.
std::shared_ptr<Memory> ShareMemory(size_t bytes) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  std::shared_ptr<Memory> memory = process_memory.lock();
  if (memory) return memory;
  memory = std::make_shared<Memory>();
  memory->cache = rocksdb::NewLRUCache(bytes, 4, false, 0.5);
  memory->buffers = std::make_shared<rocksdb::WriteBufferManager>(bytes / 2, memory->cache);
  process_memory = memory;
  return memory;
}

// ------------------------------------------------------------------------------------------------------------------ handles

struct Database;

// Tags tell handles apart, whatever JavaScript gives for one.
constexpr uint32_t kViewTag = 0x77656976;
constexpr uint32_t kDatabaseTag = 0x61746164;

struct View {
  const uint32_t tag = kViewTag;
  Database* const database;
  // Null: closed, or the database is. As long as there is one, the database is open.
  const rocksdb::Snapshot* snapshot;

  View(Database* database, const rocksdb::Snapshot* snapshot) : database(database), snapshot(snapshot) {}
  void Close();
};

struct Database {
  const uint32_t tag = kDatabaseTag;
  std::shared_ptr<Memory> memory;
  std::unique_ptr<rocksdb::DB> db;
  std::unique_ptr<rocksdb::SstFileWriter> loader;
  rocksdb::Options options;
  std::string path;
  std::string loading;
  uint32_t loads = 0;
  std::set<View*> views;

  void Close() {
    if (!db) return;
    loader.reset();
    for (View* view : views) {
      db->ReleaseSnapshot(view->snapshot);
      view->snapshot = nullptr;
    }
    views.clear();
    rocksdb::CancelAllBackgroundWork(db.get(), true);
    db->Close();
    db.reset();
    memory.reset();
    malloc_trim(0);
  }
};

void View::Close() {
  if (snapshot == nullptr) return;
  database->views.erase(this);
  database->db->ReleaseSnapshot(snapshot);
  snapshot = nullptr;
}

// The environment of all databases. RocksDB's threads use it until the process ends, so it is never destroyed.
rocksdb::Env* UnsyncedEnv() {
  static rocksdb::Env* env = rocksdb::NewCompositeEnv(std::make_shared<millrace::UnsyncedFileSystem>()).release();
  return env;
}

void CloseAtExit(void* data) { static_cast<Database*>(data)->Close(); }

void FreeDatabase(napi_env env, void* data, void*) {
  auto* database = static_cast<Database*>(data);
  napi_remove_env_cleanup_hook(env, CloseAtExit, database);
  database->Close();
  delete database;
}

napi_value Throw(napi_env env, const char* code, const std::string& message) {
  napi_throw_error(env, code, message.c_str());
  return nullptr;
}

napi_value ThrowStatus(napi_env env, const Status& status) {
  return Throw(env, status.IsCorruption() ? "CORRUPTION" : status.IsIOError() ? "IO" : "ROCKSDB", status.ToString());
}

#define ARGS(count)                                     \
  napi_value args[count];                               \
  size_t argc = count;                                  \
  napi_get_cb_info(env, info, &argc, args, nullptr, nullptr); \
  if (argc < count) return Throw(env, "ARGUMENT", "too few arguments")

#define OPEN_DATABASE(value)                                                        \
  Database* database = ReadHandle<Database>(env, value, kDatabaseTag);              \
  if (database == nullptr) return Throw(env, "ARGUMENT", "not a database");         \
  if (!database->db) return Throw(env, "CLOSED", "the database is closed")

#define BYTES(name, value) \
  Slice name;              \
  if (!ReadBytes(env, value, &name)) return Throw(env, "ARGUMENT", #name " is no Uint8Array")

#define CHECK(status) \
  if (Status checked = (status); !checked.ok()) return ThrowStatus(env, checked)

template <typename Handle>
Handle* ReadHandle(napi_env env, napi_value value, uint32_t tag) {
  void* handle = nullptr;
  if (napi_get_value_external(env, value, &handle) != napi_ok || handle == nullptr) return nullptr;
  return static_cast<Handle*>(handle)->tag == tag ? static_cast<Handle*>(handle) : nullptr;
}

bool ReadBytes(napi_env env, napi_value value, Slice* into) {
  bool is_typed = false;
  napi_is_typedarray(env, value, &is_typed);
  if (!is_typed) return false;
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return false;
  if (type != napi_uint8_array) return false;
  *into = length == 0 ? Slice() : Slice(static_cast<const char*>(data), length);
  return true;
}

bool ReadNumber(napi_env env, napi_value value, double* into) {
  return napi_get_value_double(env, value, into) == napi_ok && *into >= 0 && *into <= 9007199254740991.0;
}

bool ReadText(napi_env env, napi_value value, std::string* into) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  into->resize(length);
  return napi_get_value_string_utf8(env, value, into->data(), length + 1, &length) == napi_ok;
}

napi_value Copy(napi_env env, const Slice& bytes) {
  napi_value buffer, array;
  void* data;
  if (napi_create_arraybuffer(env, bytes.size(), &data, &buffer) != napi_ok) return nullptr;
  if (bytes.size() > 0) memcpy(data, bytes.data(), bytes.size());
  napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &array);
  return array;
}

napi_value Undefined(napi_env env) {
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  return undefined;
}

// ------------------------------------------------------------------------------------------------------------ packed strings

bool TakeLength(Slice* from, uint32_t* length) {
  if (from->size() < 4) return false;
  memcpy(length, from->data(), 4);
  from->remove_prefix(4);
  return true;
}

bool Take(Slice* from, uint32_t length, Slice* string) {
  if (from->size() < length) return false;
  *string = Slice(from->data(), length);
  from->remove_prefix(length);
  return true;
}

bool TakeString(Slice* from, Slice* string) {
  uint32_t length;
  return TakeLength(from, &length) && Take(from, length, string);
}

void Put(std::string* into, const Slice& string) {
  const uint32_t length = static_cast<uint32_t>(string.size());
  into->append(reinterpret_cast<const char*>(&length), 4);
  into->append(string.data(), string.size());
}

constexpr const char* kTruncated = "the packed strings end too early";

// ------------------------------------------------------------------------------------------------------------------- calls

// open(path, memoryBytes): database
napi_value Open(napi_env env, napi_callback_info info) {
  ARGS(2);
  auto database = std::make_unique<Database>();
  double memory_bytes;
  if (!ReadText(env, args[0], &database->path) || !ReadNumber(env, args[1], &memory_bytes))
    return Throw(env, "ARGUMENT", "open(path, memoryBytes)");
  database->memory = ShareMemory(static_cast<size_t>(memory_bytes));

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = database->memory->cache;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  // In the cache they are looked up once a file, not once a read. They count as what it holds.
  table.metadata_cache_options.unpartitioned_pinning = rocksdb::PinningTier::kAll;
  table.checksum = rocksdb::kXXH3;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 4096;
  table.format_version = 5;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.optimize_filters_for_memory = true;

  rocksdb::Options& options = database->options;
  options.env = UnsyncedEnv();
  options.create_if_missing = true;
  options.error_if_exists = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_manager = database->memory->buffers;
  options.write_buffer_size = std::max<size_t>(static_cast<size_t>(memory_bytes) / 8, 4 << 20);
  options.max_write_buffer_number = 8;
  options.memtable_prefix_bloom_size_ratio = 0.1;
  options.memtable_whole_key_filtering = true;
  options.level0_slowdown_writes_trigger = 40;
  options.level0_stop_writes_trigger = 64;
  options.compression = rocksdb::kNoCompression;
  options.max_background_jobs = 2;
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.max_open_files = 256;
  options.allow_concurrent_memtable_write = false;
  options.enable_pipelined_write = false;
  options.level_compaction_dynamic_level_bytes = true;
  options.target_file_size_base = 32 << 20;
  options.max_bytes_for_level_base = 256 << 20;
  options.info_log_level = rocksdb::ERROR_LEVEL;
  options.keep_log_file_num = 1;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // A disk that is full stays so until something is done about it.
  options.max_bgerror_resume_count = 0;
  options.avoid_flush_during_shutdown = true;
  options.paranoid_checks = true;

  rocksdb::DB* db = nullptr;
  CHECK(rocksdb::DB::Open(options, database->path, &db));
  database->db.reset(db);
  napi_value external;
  Database* raw = database.release();
  napi_add_env_cleanup_hook(env, CloseAtExit, raw);
  napi_create_external(env, raw, FreeDatabase, nullptr, &external);
  return external;
}

napi_value Close(napi_env env, napi_callback_info info) {
  ARGS(1);
  Database* database = ReadHandle<Database>(env, args[0], kDatabaseTag);
  if (database == nullptr) return Throw(env, "ARGUMENT", "not a database");
  database->Close();
  return Undefined(env);
}

napi_value Number(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

// get(database, key, into): length, -1 if there is none. An array for each value would cost a quarter of a read.
napi_value Get(napi_env env, napi_callback_info info) {
  ARGS(3);
  OPEN_DATABASE(args[0]);
  BYTES(key, args[1]);
  BYTES(into, args[2]);
  PinnableSlice value;
  const Status status = database->db->Get(rocksdb::ReadOptions(), database->db->DefaultColumnFamily(), key, &value);
  if (status.IsNotFound()) return Number(env, -1);
  CHECK(status);
  if (value.size() <= into.size()) memcpy(const_cast<char*>(into.data()), value.data(), value.size());
  return Number(env, static_cast<double>(value.size()));
}

bool ReadView(napi_env env, napi_value value, rocksdb::ReadOptions* options, bool* closed) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  if (type == napi_undefined) return true;
  const View* view = ReadHandle<View>(env, value, kViewTag);
  if (view == nullptr) return false;
  *closed = view->snapshot == nullptr;
  options->snapshot = view->snapshot;
  return true;
}

#define READ_OPTIONS(value)                                                                             \
  rocksdb::ReadOptions options;                                                                         \
  bool closed = false;                                                                                  \
  if (!ReadView(env, value, &options, &closed)) return Throw(env, "ARGUMENT", "not a view"); \
  if (closed) return Throw(env, "CLOSED", "the view is closed")

// multiGet(database, view | undefined, keys, count): values
napi_value MultiGet(napi_env env, napi_callback_info info) {
  ARGS(4);
  OPEN_DATABASE(args[0]);
  READ_OPTIONS(args[1]);
  BYTES(packed, args[2]);
  double wanted;
  if (!ReadNumber(env, args[3], &wanted)) return Throw(env, "ARGUMENT", "count is no number");
  const size_t count = static_cast<size_t>(wanted);
  if (count > packed.size() / 4) return Throw(env, "ARGUMENT", kTruncated);
  std::vector<Slice> keys(count);
  for (size_t i = 0; i < count; i++)
    if (!TakeString(&packed, &keys[i])) return Throw(env, "ARGUMENT", kTruncated);
  if (!packed.empty()) return Throw(env, "ARGUMENT", "there are more keys than announced");
  std::vector<PinnableSlice> values(count);
  std::vector<Status> statuses(count);
  database->db->MultiGet(options, database->db->DefaultColumnFamily(), count, keys.data(), values.data(), statuses.data(), false);
  size_t bytes = count * 4;
  for (size_t i = 0; i < count; i++) {
    if (statuses[i].ok()) bytes += values[i].size();
    else if (!statuses[i].IsNotFound()) return ThrowStatus(env, statuses[i]);
  }
  napi_value buffer, array;
  void* data;
  if (napi_create_arraybuffer(env, bytes, &data, &buffer) != napi_ok) return nullptr;
  char* at = static_cast<char*>(data);
  for (size_t i = 0; i < count; i++) {
    const bool found = statuses[i].ok();
    const uint32_t length = found ? static_cast<uint32_t>(values[i].size()) : kMissing;
    memcpy(at, &length, 4);
    at += 4;
    if (!found) continue;
    memcpy(at, values[i].data(), length);
    at += length;
  }
  napi_create_typedarray(env, napi_uint8_array, bytes, buffer, 0, &array);
  return array;
}

// write(database, batch)
napi_value Write(napi_env env, napi_callback_info info) {
  ARGS(2);
  OPEN_DATABASE(args[0]);
  BYTES(packed, args[1]);
  rocksdb::WriteBatch batch(packed.size() + 64);
  while (!packed.empty()) {
    Slice key, value;
    uint32_t length;
    if (!TakeString(&packed, &key) || !TakeLength(&packed, &length)) return Throw(env, "ARGUMENT", kTruncated);
    if (length == kMissing) batch.Delete(key);
    else if (Take(&packed, length, &value)) batch.Put(key, value);
    else return Throw(env, "ARGUMENT", kTruncated);
  }
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  CHECK(database->db->Write(options, &batch));
  return Undefined(env);
}

constexpr uint64_t kLoadFileBytes = 64 << 20;

Status EndFile(Database* database) {
  if (!database->loader) return Status::OK();
  Status status = database->loader->Finish();
  database->loader.reset();
  if (!status.ok()) return status;
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.snapshot_consistency = false;
  options.write_global_seqno = false;
  return database->db->IngestExternalFile({database->loading}, options);
}

// load(database, batch): puts in ascending order
napi_value Load(napi_env env, napi_callback_info info) {
  ARGS(2);
  OPEN_DATABASE(args[0]);
  BYTES(packed, args[1]);
  while (!packed.empty()) {
    Slice key, value;
    if (!TakeString(&packed, &key) || !TakeString(&packed, &value)) return Throw(env, "ARGUMENT", kTruncated);
    if (!database->loader) {
      database->loading = database->path + "/load-" + std::to_string(database->loads++) + ".sst";
      database->loader = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), database->options, nullptr, false);
      CHECK(database->loader->Open(database->loading));
    }
    CHECK(database->loader->Put(key, value));
  }
  if (database->loader && database->loader->FileSize() >= kLoadFileBytes) CHECK(EndFile(database));
  return Undefined(env);
}

napi_value EndLoad(napi_env env, napi_callback_info info) {
  ARGS(1);
  OPEN_DATABASE(args[0]);
  CHECK(EndFile(database));
  return Undefined(env);
}

// deleteRange(database, from, to)
napi_value DeleteRange(napi_env env, napi_callback_info info) {
  ARGS(3);
  OPEN_DATABASE(args[0]);
  BYTES(from, args[1]);
  BYTES(to, args[2]);
  if (from.compare(to) >= 0) return Undefined(env);
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  CHECK(database->db->DeleteRange(options, database->db->DefaultColumnFamily(), from, to));
  return Undefined(env);
}

// scan(database, view | undefined, from, to, maxBytes, descending): entries
napi_value Scan(napi_env env, napi_callback_info info) {
  ARGS(6);
  OPEN_DATABASE(args[0]);
  READ_OPTIONS(args[1]);
  BYTES(from, args[2]);
  BYTES(to, args[3]);
  double max_bytes;
  bool descending = false;
  if (!ReadNumber(env, args[4], &max_bytes) || napi_get_value_bool(env, args[5], &descending) != napi_ok)
    return Throw(env, "ARGUMENT", "scan(database, view, from, to, maxBytes, descending)");
  options.iterate_lower_bound = &from;
  options.iterate_upper_bound = &to;
  std::string found;
  if (from.compare(to) < 0) {
    std::unique_ptr<rocksdb::Iterator> at(database->db->NewIterator(options));
    if (descending) at->SeekForPrev(to);
    else at->Seek(from);
    while (at->Valid()) {
      Put(&found, at->key());
      Put(&found, at->value());
      if (found.size() >= max_bytes) break;
      if (descending) at->Prev();
      else at->Next();
    }
    CHECK(at->status());
  }
  return Copy(env, found);
}

void FreeView(napi_env, void* data, void*) {
  const std::unique_ptr<View> view(static_cast<View*>(data));
  view->Close();
}

// view(database): view
napi_value OpenView(napi_env env, napi_callback_info info) {
  ARGS(1);
  OPEN_DATABASE(args[0]);
  auto* view = new View(database, database->db->GetSnapshot());
  database->views.insert(view);
  napi_value external;
  napi_create_external(env, view, FreeView, nullptr, &external);
  return external;
}

// closeView(view)
napi_value CloseView(napi_env env, napi_callback_info info) {
  ARGS(1);
  View* view = ReadHandle<View>(env, args[0], kViewTag);
  if (view == nullptr) return Throw(env, "ARGUMENT", "not a view");
  view->Close();
  return Undefined(env);
}

void SetNumber(napi_env env, napi_value object, const char* name, double number) {
  napi_set_named_property(env, object, name, Number(env, number));
}

// usage(database): { cacheBytes, bufferBytes, readerBytes, diskBytes }; the first two are of the process
napi_value Usage(napi_env env, napi_callback_info info) {
  ARGS(1);
  OPEN_DATABASE(args[0]);
  uint64_t readers = 0, disk = 0;
  database->db->GetIntProperty(rocksdb::DB::Properties::kEstimateTableReadersMem, &readers);
  database->db->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &disk);
  napi_value usage;
  napi_create_object(env, &usage);
  SetNumber(env, usage, "cacheBytes", static_cast<double>(database->memory->cache->GetUsage()));
  SetNumber(env, usage, "bufferBytes", static_cast<double>(database->memory->buffers->memory_usage()));
  SetNumber(env, usage, "readerBytes", static_cast<double>(readers));
  SetNumber(env, usage, "diskBytes", static_cast<double>(disk));
  return usage;
}

// A C++ exception (out of memory, say) becomes one of JavaScript.
template <napi_value (*call)(napi_env, napi_callback_info)>
napi_value Guarded(napi_env env, napi_callback_info info) {
  try {
    return call(env, info);
  } catch (const std::exception& failure) {
    return Throw(env, "ROCKSDB", failure.what());
  } catch (...) {
    return Throw(env, "ROCKSDB", "an unknown failure");
  }
}

napi_value Init(napi_env env, napi_value exports) {
  // glibc keeps an arena for each thread that allocates, and gives little of it back.
  mallopt(M_ARENA_MAX, 2);
  const napi_property_descriptor calls[] = {
      {"open", nullptr, Guarded<Open>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"close", nullptr, Guarded<Close>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"get", nullptr, Guarded<Get>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"multiGet", nullptr, Guarded<MultiGet>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"write", nullptr, Guarded<Write>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"load", nullptr, Guarded<Load>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"endLoad", nullptr, Guarded<EndLoad>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"deleteRange", nullptr, Guarded<DeleteRange>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"scan", nullptr, Guarded<Scan>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"view", nullptr, Guarded<OpenView>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"closeView", nullptr, Guarded<CloseView>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"usage", nullptr, Guarded<Usage>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof(calls) / sizeof(calls[0]), calls);
  napi_value version;
  napi_create_string_utf8(env, rocksdb::GetRocksVersionAsString().c_str(), NAPI_AUTO_LENGTH, &version);
  napi_set_named_property(env, exports, "version", version);
  return exports;
}

}  // namespace

NAPI_MODULE(millrace_rocksdb, Init)
