#include "binding/device_handle.h"
#include "binding/model_settings.h"
#include "core/model/clock.h"
#include "jail/slot_contract.h"

namespace millrace::binding {

namespace {

Napi::Value number(Napi::Env env, uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

Napi::Object commands_object(Napi::Env env, const Counters& counters) {
  Napi::Object object = Napi::Object::New(env);
  for (size_t kind = 0; kind < kQueueKindNames.size(); kind++)
    for (size_t command = 0; command < kCommandCount; command++) {
      const uint64_t count = Counters::get(counters.commands[kind][command]);
      if (count > 0) object.Set(std::string(kQueueKindNames[kind]) + "/" + command_name(static_cast<Command>(command)), number(env, count));
    }
  return object;
}

/** Per opcode: counts by powers of two of nanoseconds, and their sum. */
Napi::Object durations_object(Napi::Env env, const Counters& counters) {
  Napi::Object object = Napi::Object::New(env);
  for (size_t command = 0; command < kCommandCount; command++) {
    const Durations& durations = counters.durations[command];
    Napi::Array counts = Napi::Array::New(env);
    uint64_t all = 0;
    for (const auto& count : durations.counts) {
      const uint64_t n = count.load(std::memory_order_relaxed);
      all += n;
      counts.Set(counts.Length(), number(env, n));
    }
    if (all == 0) continue;
    Napi::Object of = Napi::Object::New(env);
    of.Set("counts", counts);
    of.Set("sumNs", number(env, durations.sum_ns.load(std::memory_order_relaxed)));
    object.Set(command_name(static_cast<Command>(command)), of);
  }
  return object;
}

Napi::Object depths_object(Napi::Env env, const Device& device) {
  Napi::Object object = Napi::Object::New(env);
  const auto depths = device.queue_depths();
  for (size_t kind = 0; kind < depths.size(); kind++) object.Set(kQueueKindNames[kind], number(env, depths[kind]));
  return object;
}

Napi::Object faults_object(Napi::Env env, const Counters& counters) {
  static constexpr const char* kNames[] = {"None",        "TrapUnreachable", "TrapOutOfBounds", "TrapDivide", "StackOverflow",  "Timeout",     "MemoryLimit",
                                           "OutputLimit", "AbiViolation",    "SlotKilled",      "ModuleRejected", "KernelError", "ArithmeticOverflow"};
  static_assert(sizeof kNames / sizeof kNames[0] == wire::kGuestFaultArithmeticOverflow + 1);
  Napi::Object object = Napi::Object::New(env);
  for (size_t fault = 1; fault <= wire::kGuestFaultArithmeticOverflow; fault++) {
    const uint64_t count = Counters::get(counters.guest_faults[fault]);
    if (count > 0) object.Set(kNames[fault], number(env, count));
  }
  return object;
}

Napi::Object bank_object(Napi::Env env, const ScanEngine::BankReport& bank) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("tenant", bank.tenant);
  object.Set("bytes", number(env, bank.bytes));
  object.Set("residentBytes", number(env, bank.resident.bytes));
  object.Set("hits", number(env, bank.resident.hits));
  object.Set("misses", number(env, bank.resident.misses));
  object.Set("evictions", number(env, bank.resident.evictions));
  object.Set("windowLoads", number(env, bank.window_loads));
  return object;
}

Napi::Array tenants_array(Napi::Env env, const ScanEngine& scans) {
  Napi::Array array = Napi::Array::New(env);
  for (const auto& bank : scans.banks()) array.Set(array.Length(), bank_object(env, bank));
  return array;
}

Napi::Object slm_object(Napi::Env env, const Slm& slm) {
  const auto resident = slm.resident().stats();
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", number(env, slm.bytes()));
  object.Set("residentBytes", number(env, resident.bytes));
  object.Set("hits", number(env, resident.hits));
  object.Set("misses", number(env, resident.misses));
  object.Set("evictions", number(env, resident.evictions));
  object.Set("windowLoads", number(env, slm.window_loads.load(std::memory_order_relaxed)));
  return object;
}

Napi::Array slots_array(Napi::Env env, const ScanEngine& scans) {
  Napi::Array array = Napi::Array::New(env);
  for (const auto& slot : scans.slots()) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("id", number(env, slot.status.id));
    object.Set("pid", number(env, static_cast<uint64_t>(slot.status.pid)));
    object.Set("state", slot.status.state);
    object.Set("tenant", slot.tenant);
    object.Set("executes", number(env, slot.executes));
    Napi::Array jail = Napi::Array::New(env);
    Napi::Array jail_missing = Napi::Array::New(env);
    for (const auto& [part, name] : kJailPartNames) {
      Napi::Array& list = (slot.status.jail & part) != 0 ? jail : jail_missing;
      list.Set(list.Length(), name);
    }
    object.Set("jail", jail);
    if (slot.status.pid > 0) object.Set("jailMissing", jail_missing);
    else object.Set("jailMissing", Napi::Array::New(env));
    array.Set(array.Length(), object);
  }
  return array;
}

Napi::Object stops_object(Napi::Env env, const SlotStops& stops) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("asked", latency_object(env, stops.asked));
  object.Set("killed", latency_object(env, stops.killed));
  object.Set("lastDueNs", number(env, stops.last_due_ns));
  return object;
}

Napi::Object media_object(Napi::Env env, const CompletionGate& gate) {
  Napi::Object o = Napi::Object::New(env);
  gate.with_model([&](const DeviceModel& model) {
    o.Set("reads", latency_object(env, model.reads()));
    o.Set("writes", latency_object(env, model.writes()));
    o.Set("flushes", latency_object(env, model.flushes()));
    o.Set("writeAmplification", Napi::Number::New(env, model.media()->totals().write_amplification));
  });
  return o;
}

Napi::Object energy_object(Napi::Env env, const CompletionGate& gate) {
  const auto energy = gate.with_model([](const DeviceModel& model) { return model.power().energy(monotonic_ns()); });
  Napi::Object o = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) { o.Set(name, Napi::Number::New(env, value)); };
  set("seconds", energy.seconds);
  set("busySeconds", energy.busy_seconds);
  set("idleModelJ", energy.idle_j);
  set("activeModelJ", energy.active_j);
  set("linkModelJ", energy.link_j);
  set("memoryModelJ", energy.memory_j);
  return o;
}

/** What models say, apart from what was measured; milliseconds. Undefined without a model. */
Napi::Value model_object(Napi::Env env, const Device& device) {
  constexpr double kNsPerMs = 1e6;
  const CompletionGate* gate = device.gate();
  if (!gate && !device.core().on()) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  if (gate && gate->link_settings().on()) {
    const auto totals = gate->with_model([](const DeviceModel& model) { return model.link().totals(); });
    Napi::Object o = Napi::Object::New(env);
    o.Set("bytesPerSecond", number(env, gate->link_settings().bytes_per_second));
    o.Set("latencyMs", Napi::Number::New(env, static_cast<double>(gate->link_settings().latency_ns) / kNsPerMs));
    o.Set("transfers", number(env, totals.transfers));
    o.Set("bytes", number(env, totals.bytes));
    o.Set("linkModelMs", Napi::Number::New(env, static_cast<double>(totals.busy_ns) / kNsPerMs));
    o.Set("delayModelMs", Napi::Number::New(env, static_cast<double>(totals.delay_ns) / kNsPerMs));
    object.Set("link", o);
  }
  if (gate) {
    if (gate->has_media()) object.Set("media", media_object(env, *gate));
    // Measured: how long after the modelled time a completion really came.
    object.Set("lateness", latency_object(env, gate->lateness()));
    if (gate->with_model([](const DeviceModel& model) { return model.power().on(); })) object.Set("energy", energy_object(env, *gate));
  }
  if (device.core().on()) {
    Napi::Object o = Napi::Object::New(env);
    o.Set("factor", Napi::Number::New(env, device.core().factor));
    o.Set("cpuMs", Napi::Number::New(env, static_cast<double>(Counters::get(device.counters().core_cpu_ns)) / kNsPerMs));
    o.Set("coreModelMs", Napi::Number::New(env, static_cast<double>(Counters::get(device.counters().core_model_ns)) / kNsPerMs));
    object.Set("core", o);
  }
  return object;
}

}  // namespace

Napi::Object stats_object(Napi::Env env, const Device& device) {
  const Counters& c = device.counters();
  Napi::Object object = Napi::Object::New(env);
  object.Set("commands", commands_object(env, c));
  object.Set("commandDurations", durations_object(env, c));
  object.Set("queueDepths", depths_object(env, device));
  object.Set("mediaReadBytes", number(env, Counters::get(c.media_read_bytes)));
  object.Set("inPlaceBytes", number(env, Counters::get(c.in_place_bytes)));
  object.Set("mediaWrittenBytes", number(env, Counters::get(c.media_written_bytes)));
  object.Set("executes", number(env, Counters::get(c.executes)));
  object.Set("resultBytes", number(env, Counters::get(c.result_bytes)));
  object.Set("chunkBytes", number(env, Counters::get(c.chunk_bytes)));
  object.Set("guestFaults", faults_object(env, c));
  object.Set("slm", slm_object(env, device.slm()));
  object.Set("cpuShare", device.scans().cpu_share());
  object.Set("slmByTenant", tenants_array(env, device.scans()));
  object.Set("slotStops", stops_object(env, device.scans().stops()));
  object.Set("slots", slots_array(env, device.scans()));
  Napi::Array quarantined = Napi::Array::New(env);
  for (const std::string& digest : device.scans().quarantined()) quarantined.Set(quarantined.Length(), digest);
  object.Set("quarantinedKernels", quarantined);
  if (const KvNamespace* kv = device.kv()) {
    Napi::Object o = Napi::Object::New(env);
    o.Set("usedBytes", number(env, kv->used_bytes()));
    o.Set("capacityBytes", number(env, kv->capacity_bytes()));
    object.Set("kv", o);
  }
  object.Set("scansOpen", number(env, device.scans().scans_open()));
  object.Set("claimsOpen", number(env, device.scans().claims_open()));
  object.Set("checkpointBytes", number(env, Counters::get(c.checkpoint_bytes)));
  object.Set("associations", number(env, device.associations()));
  if (const tcp::TcpListener* tcp = device.tcp()) {
    Napi::Object o = Napi::Object::New(env);
    o.Set("address", tcp->settings().address);
    o.Set("port", number(env, tcp->port()));
    o.Set("nqn", tcp->settings().subsystem);
    o.Set("authentication", Napi::Boolean::New(env, static_cast<bool>(tcp->settings().authentication.need)));
    o.Set("hosts", number(env, device.tcp_hosts()));
    o.Set("connections", number(env, tcp->connections()));
    o.Set("inBytes", number(env, Counters::get(c.tcp_in_bytes)));
    o.Set("outBytes", number(env, Counters::get(c.tcp_out_bytes)));
    object.Set("nvmeTcp", o);
  }
  if (const Napi::Value model = model_object(env, device); !model.IsUndefined()) object.Set("model", model);
  return object;
}

}  // namespace millrace::binding
