#!/usr/bin/env node
// The command line. Commands are loaded when they run, so that --help and --version answer at once.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Argument, Command, CommanderError, Option } from 'commander';
import type { DescribeSettings } from './commands/describe.js';
import type { DoctorSettings } from './commands/doctor.js';
import type { ExplainSettings } from './commands/explain.js';
import type { ExportSettings } from './commands/export.js';
import type { KernelRunSettings } from './commands/kernel.js';
import type { NvmeSettings, NvmeVerb } from './commands/nvme.js';
import type { PutSettings } from './commands/put.js';
import type { ServeSettings } from './commands/serve.js';
import type { SqlSettings } from './commands/sql.js';
import type { VerifySettings } from './commands/verify.js';
import type { Shell } from './completion/script.js';
import { exitCodeOf, exitCodes } from './exit-code.js';
import { readerLeft } from './output/write.js';
import { reportError } from './report-error.js';
import type { TokenSettings } from './commands/token.js';
import { type ConnectSettings, pushdownOption, tokenOption, transportOption, urlOption } from './settings.js';

const { version } = JSON.parse(readFileSync(fileURLToPath(new URL('../../../package.json', import.meta.url)), 'utf8')) as { version: string };
const abort = new AbortController();
let statement: string | undefined;

const program = new Command('millrace')
  .description('Near-data processing: load data into a device, query it where it lies.')
  .version(version)
  .exitOverride()
  .showHelpAfterError('(millrace --help, millrace COMMAND --help)');

program
  .command('serve')
  .description('run a daemon until Ctrl-C')
  .requiredOption('--dir <dir>', 'where data, catalog and socket lie; made if absent')
  .option('--port <port>', 'TCP port; 0: any', '4433')
  .option('--host <host>', 'address to bind; other than loopback needs a token')
  .addOption(tokenOption())
  .option('--slm <bytes>', 'device memory, e.g. 512MiB')
  .option('--capacity <bytes>', 'size of the namespace, e.g. 64GiB')
  .option('--raw-bytes <bytes>', 'size of namespace 4, blocks that NVMe hosts may write; 0: none')
  .option('--slots <n>', 'slot processes')
  .option('--profile <name|file>', 'device to model: local (nothing), csd-pcie3-arm, or a JSON file')
  .option('--link <rate,latency>', 'model the link to hosts, e.g. 1Gbit,0.2ms; none')
  .option('--core-factor <n>', 'model device cores n times slower than this machine')
  .option('--nvme-tcp <address:port>', 'let NVMe/TCP hosts in, e.g. 127.0.0.1:4420; other than loopback needs secrets')
  .option('--nvme-nqn <nqn>', 'name of the NVM subsystem')
  .option('--nvme-tcp-advertise <address>', 'what discovery names, where hosts reach this machine by another address')
  .option('--nvme-tcp-secret-file <file>', 'hosts that may come in: HOST-NQN SECRET [CONTROLLER-SECRET] [token=NAME] a line (DH-HMAC-CHAP)')
  .option('--nvme-tcp-dh-group <group>', 'null, ffdhe2048 (by default) to ffdhe8192')
  .addOption(new Option('--log-level <level>', 'daemon log on stderr').choices(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('warn'))
  // What is not declared here is for the daemon to know or to refuse.
  .allowUnknownOption()
  .allowExcessArguments()
  .addHelpText('after', `
Bounds of the daemon are options as well (docs/rest.md): --query-workers, --query-deadline-ms, --query-memory-bytes, --requests-max,
--connections-max, --connection-idle-ms, --upload-bytes-max, --scan-idle-ms, --kv-bytes, --tenants-resident-max, --tenant-slm-bytes,
--tenant-deadline-ms and the other caps of tenants.`)
  .action(async (settings: ServeSettings, command: Command) => {
    const { serve } = await import('./commands/serve.js');
    process.exitCode = await serve(settings, command.args);
  });

const tokens = program.command('token').description('bearer tokens of a data directory; a running daemon follows');
const tokenVerb = (usage: string, description: string, verb: 'add' | 'rm' | 'ls') =>
  tokens
    .command(usage)
    .description(description)
    .requiredOption('--dir <dir>', "the daemon's data directory")
    .action(async (...args: unknown[]) => {
      const command = args.at(-1) as Command;
      process.exitCode = await (await import('./commands/token.js')).token(verb, command.args[0], command.opts<TokenSettings>());
    });
tokenVerb('add <name>', 'make one; it is printed this once', 'add')
  .requiredOption('--tenant <tenant>', 'whose queries and programs these are')
  .option('--datasets <names>', 'the datasets it may read, separated by commas; all without')
  .option('--write', 'may load and remove datasets as well')
  .option('--rate <n>', 'requests per minute');
tokenVerb('rm <name>', 'remove one; it ends within a second', 'rm');
tokenVerb('ls', 'list them', 'ls');

const tenants = program.command('tenant').description('caps of tenants and the kernels they may run; a running daemon follows');
const tenantVerb = (usage: string, description: string, verb: 'set' | 'rm' | 'ls') =>
  tenants
    .command(usage)
    .description(description)
    .requiredOption('--dir <dir>', "the daemon's data directory")
    .action(async (...args: unknown[]) => {
      const command = args.at(-1) as Command;
      process.exitCode = await (await import('./commands/tenant.js')).tenant(verb, command.args[0], command.opts<Record<string, string>>());
    });
tenantVerb('set <name>', 'set what differs from the defaults of serve', 'set')
  .option('--memory-bytes <n>', 'linear memory of one kernel beside its input')
  .option('--deadline-ms <n>', 'wall time of one row group in a slot')
  .option('--compile-ms <n>', 'wall time of compiling a kernel')
  .option('--cpu-percent <n>', 'CPU time of one slot per wall time')
  .option('--output-bytes <n>', 'result bytes of one row group')
  .option('--stack-bytes <n>', 'stack of a kernel')
  .option('--module-bytes <n>', 'size of a kernel')
  .option('--kernels <digests>', 'SHA-256 of the only kernels slots may run for it, separated by commas');
tenantVerb('rm <name>', 'back to the defaults', 'rm');
tenantVerb('ls', 'list what is set', 'ls');

client('audit', 'who ran which kernel on which dataset, oldest first, as NDJSON (operator)')
  .option('--limit <n>', 'the last so many', '100')
  .action(async (settings: ConnectSettings & { limit: string }) => (await import('./commands/audit.js')).audit(settings));

client('put <files...>', 'load Parquet, Arrow, CSV or JSON files, folders or globs as one dataset; - reads stdin')
  .option('--name <name>', "dataset name; by default the file's")
  .option('--replace', 'replace a dataset of that name')
  .option('--append', 'add the rows to the dataset of that name, as its next version')
  .option('--dry-run', 'say what would be loaded, with the column types found, and load nothing')
  .addOption(new Option('--format <format>', 'by default by the ending').choices(['parquet', 'arrow', 'csv', 'json']))
  .option('--types <list>', "column types instead of the guessed ones, e.g. 'a=BIGINT,b=DATE'")
  .option('--delimiter <text>', 'CSV: what stands between fields')
  .option('--header', 'CSV: the first line names the columns')
  .option('--no-header', 'CSV: the first line is data')
  .option('--null-text <text>', 'CSV: text that means NULL')
  .option('--quote <character>', "CSV: character around fields; '' for none")
  .action(async (files: string[], settings: PutSettings) => (await import('./commands/put.js')).put(files, settings, cancellable()));

client('ls', 'list datasets')
  .addOption(outputOption(['table', 'json']))
  .action(async (settings: ConnectSettings) => (await import('./commands/datasets.js')).ls(settings));

client('describe <name>', 'schema, physical types, row groups and zone maps')
  .addOption(outputOption(['table', 'json']))
  .action(async (name: string, settings: DescribeSettings) => (await import('./commands/describe.js')).describe(name, settings));

client('verify <name>', 'read every chunk from the media and compare checksums')
  .addOption(outputOption(['table', 'json']))
  .action(async (name: string, settings: VerifySettings) => (await import('./commands/verify.js')).verify(name, settings, cancellable()));

client('rm <names...>', 'remove datasets').action(async (names: string[], settings: ConnectSettings) => (await import('./commands/datasets.js')).rm(names, settings));

client('sql [query]', 'run a query; - reads it from stdin; without one, a shell with history')
  .addOption(pushdownOption())
  .addOption(outputOption(['table', 'json', 'csv', 'arrow', 'parquet', 'npy']))
  .option('--dry-run', 'say what would be pushed and read, run nothing')
  .option('--stats', 'figures on stderr, also when it is no terminal')
  .action(async (query: string | undefined, settings: SqlSettings) => {
    if (query === undefined) {
      process.exitCode = await (await import('./commands/shell.js')).shell(settings);
      return;
    }
    const { sql, statementOf } = await import('./commands/sql.js');
    statement = await statementOf(query);
    await sql(statement, settings, cancellable());
  });

client('explain <query>', 'show where each part of a query runs and why')
  .option('--analyze', 'run it and show what happened')
  .addOption(pushdownOption())
  .addOption(outputOption(['table', 'json']))
  .action(async (query: string, settings: ExplainSettings) => {
    const { explain } = await import('./commands/explain.js');
    statement = await (await import('./commands/sql.js')).statementOf(query);
    await explain(statement, settings, cancellable());
  });

const kernels = program.command('kernel').description('kernels of your own: write, test, store and run them (docs/kernels.md)');
const kernelClient = (usage: string, description: string): Command => kernels.command(usage).description(description).addOption(urlOption()).addOption(tokenOption()).addOption(transportOption());
kernels
  .command('init <name>')
  .description('a folder with a kernel that builds and passes its test')
  .addOption(new Option('--lang <language>', 'what it is written in').choices(['assemblyscript', 'c', 'rust']).default('assemblyscript'))
  .option('--dir <dir>', "the folder; by default the kernel's name")
  .action(async (name: string, settings: { lang: 'assemblyscript' | 'c' | 'rust'; dir?: string }) => (await import('./commands/kernel.js')).kernelInit(name, settings));
kernels.command('build [dir]').description('compile it to build/NAME.wasm').action(async (dir = '.') => (await import('./commands/kernel.js')).kernelBuild(dir));
kernels.command('test [dir]').description('build it and run its test/*.json as slots would').action(async (dir = '.') => (await import('./commands/kernel.js')).kernelTest(dir));
kernelClient('push [project|file]', 'store it at the daemon')
  .option('--name <name>', "by default the project's or the file's")
  .option('--replace', 'replace a kernel of that name')
  .action(async (what: string | undefined, settings: ConnectSettings) => (await import('./commands/kernel.js')).kernelPush(what, settings));
kernelClient('run [dataset]', 'run it over a dataset, beside the data or here; or over rows of --input, here')
  .option('--kernel <name|file|project>', 'a stored kernel, a module, a project; by default the project in this folder')
  .option('--param <name=value>', 'a parameter; may be repeated', (value: string, all: string[]) => [...all, value], [] as string[])
  .option('--columns <list>', 'what it gets, as SQL selects it; by default the columns it names')
  .option('--where <condition>', 'rows it gets, as SQL says it')
  .option('--input <file>', 'rows instead of a dataset; - reads stdin')
  .addOption(new Option('--format <format>', 'of --input: objects per line, Arrow IPC, or lines; by default by the ending').choices(['ndjson', 'arrow', 'raw']))
  .addOption(pushdownOption())
  .addOption(outputOption(['table', 'json', 'csv', 'arrow', 'parquet', 'npy']))
  .option('--stats', 'figures and digest on stderr, also when it is no terminal')
  .action(async (dataset: string | undefined, settings: KernelRunSettings) => (await import('./commands/kernel.js')).kernelRun(dataset, settings, dataset === undefined ? new AbortController().signal : cancellable()));
kernelClient('ls [name]', 'stored kernels; or what one is: functions, columns in and out')
  .addOption(outputOption(['table', 'json']))
  .action(async (name: string | undefined, settings: ConnectSettings) => (await import('./commands/kernel.js')).kernelLs(name, settings));
kernelClient('rm <names...>', 'remove stored kernels').action(async (names: string[], settings: ConnectSettings) => (await import('./commands/kernel.js')).kernelRm(names, settings));

client('status', 'counters of the daemon')
  .addOption(outputOption(['table', 'json']))
  .action(async (settings: ConnectSettings) => (await import('./commands/status.js')).status(settings));

client('export <name> [file]', 'write a dataset to a file, or to stdout')
  .option('-o, --output <format>', "json, csv, arrow, parquet or npy; by default by the file's ending, on stdout arrow")
  .action(async (name: string, file: string | undefined, settings: ExportSettings) => (await import('./commands/export.js')).exportDataset(name, file, settings, cancellable()));

client('doctor', 'what this machine offers, and what each missing thing costs')
  .option('--dir <dir>', 'where data would lie', '.')
  .addOption(outputOption(['table', 'json']))
  .action(async (settings: DoctorSettings) => {
    process.exitCode = await (await import('./commands/doctor.js')).doctor(settings, version);
  });

const nvme = program.command('nvme').description("commands to the device in nvme-cli's words, over its socket or NVMe/TCP");
const nvmeVerb = (usage: string, description: string): Command =>
  nvme
    .command(usage)
    .description(description)
    .option('--device <socket>', "the device's socket; by default that of the daemon at --url")
    .addOption(new Option('--tcp <host:port>', 'a controller over NVMe/TCP instead, this one or another').conflicts('device'))
    .option('--nqn <nqn>', '--tcp: name of its subsystem')
    .option('--hostnqn <nqn>', '--tcp: name of this host; a random one by default')
    .addOption(new Option('--dhchap-secret <secret>', '--tcp: what this host proves who it is with').env('MILLRACE_DHCHAP_SECRET'))
    .addOption(new Option('--dhchap-ctrl-secret <secret>', '--tcp: the controller has to prove who it is with this').env('MILLRACE_DHCHAP_CTRL_SECRET'))
    .addOption(urlOption())
    .addOption(tokenOption())
    .addOption(new Option('-o, --output-format <format>').choices(['normal', 'json']).default('normal'))
    .action(async (...args: unknown[]) => {
      const command = args.at(-1) as Command;
      process.exitCode = await (await import('./commands/nvme.js')).nvme(command.name() as NvmeVerb, command.opts<NvmeSettings>(), command.args);
    });
nvmeVerb('list', 'namespaces of the device');
nvmeVerb('id-ctrl', 'Identify Controller');
nvmeVerb('id-ns', 'Identify Namespace').option('-n, --namespace-id <nsid>', '1 by default');
nvmeVerb('list-ns', 'active namespaces');
nvmeVerb('smart-log', 'SMART / Health log');
nvmeVerb('error-log', 'error log of this connection').option('-e, --log-entries <n>', 'at most so many');
nvmeVerb('effects-log', 'commands supported and their effects').option('--csi <n>', 'one command set');
for (const [verb, description] of [['read', 'read blocks to a file or stdout'], ['write', 'write blocks from a file or stdin']] as const) {
  const command = nvmeVerb(verb, description).option('-n, --namespace-id <nsid>', '1 by default').option('-s, --start-block <lba>').option('-c, --block-count <n>', '0-based').option('-z, --data-size <bytes>').option('-d, --data <file>');
  if (verb === 'write') command.option('-f, --force-unit-access');
}
for (const verb of ['io-passthru', 'admin-passthru']) {
  const command = nvmeVerb(verb, `any ${verb === 'io-passthru' ? 'I/O' : 'admin'} command`).option('--opcode <n>').option('-n, --namespace-id <nsid>').option('-l, --data-len <bytes>').option('-i, --input-file <file>', 'data for the device; stdin without');
  for (const word of ['cdw2', 'cdw3', 'cdw10', 'cdw11', 'cdw12', 'cdw13', 'cdw14', 'cdw15']) command.option(`--${word} <n>`);
  command.option('-r, --read', 'data comes from the device').option('-w, --write', 'data goes to the device').option('-b, --raw-binary', 'print the data as it is');
}
nvmeVerb('kv', 'Store, Retrieve, List, Delete, Exist of the KV namespace; exit code 1: no')
  .addArgument(new Argument('<verb>').choices(['store', 'retrieve', 'list', 'delete', 'exist', 'flush']))
  .argument('[key]', '1 to 16 bytes of text; list: where to begin')
  .option('--hex', 'keys are hexadecimal')
  .option('-d, --data <file>', 'value to store (stdin without), or where to write it')
  .option('--only-if-exists')
  .option('--only-if-absent')
  .option('--limit <n>', 'list: at most so many');

program
  .command('completion')
  .description('a completion script for a shell')
  .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
  .action(async (shell: Shell) => (await import('./commands/completion.js')).completion(shell, program));

function client(usage: string, description: string): Command {
  return program.command(usage).description(description).addOption(urlOption()).addOption(tokenOption()).addOption(transportOption());
}

function outputOption(choices: string[]): Option {
  return new Option('-o, --output <format>', 'table on a terminal, json otherwise').choices(choices);
}

/** The first Ctrl-C cancels at both ends, the second leaves at once. */
function cancellable(): AbortSignal {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) process.exit(exitCodes.cancelled);
      abort.abort();
    });
  }
  return abort.signal;
}

// Writes report their own errors (output/write.ts); without a listener a closed pipe would end the process in a stack trace.
process.stdout.on('error', () => undefined);
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  else if (!readerLeft(error)) {
    process.stderr.write(reportError(error, statement));
    process.exitCode = abort.signal.aborted ? exitCodes.cancelled : exitCodeOf(error);
  }
}
