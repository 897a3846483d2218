import type { Field } from './page-fields.js';

/** Identify Controller (NVMe base specification 2.0, figure 275); names of nvme-cli's id-ctrl. */
export const controllerFields: readonly Field[] = [
  ['vid', 0, 2, 'x'], ['ssvid', 2, 2, 'x'], ['sn', 4, 'text', 20], ['mn', 24, 'text', 40], ['fr', 64, 'text', 8], ['rab', 72, 1], ['ieee', 73, 3, 'x'], ['cmic', 76, 1, 'x'], ['mdts', 77, 1],
  ['cntlid', 78, 2, 'x'], ['ver', 80, 4, 'x'], ['rtd3r', 84, 4, 'x'], ['rtd3e', 88, 4, 'x'], ['oaes', 92, 4, 'x'], ['ctratt', 96, 4, 'x'], ['rrls', 100, 2, 'x'], ['cntrltype', 111, 1],
  ['fguid', 112, 'uuid'], ['crdt1', 128, 2], ['crdt2', 130, 2], ['crdt3', 132, 2], ['nvmsr', 253, 1, 'x'], ['vwci', 254, 1, 'x'], ['mec', 255, 1, 'x'], ['oacs', 256, 2, 'x'], ['acl', 258, 1],
  ['aerl', 259, 1], ['frmw', 260, 1, 'x'], ['lpa', 261, 1, 'x'], ['elpe', 262, 1], ['npss', 263, 1], ['avscc', 264, 1, 'x'], ['apsta', 265, 1, 'x'], ['wctemp', 266, 2], ['cctemp', 268, 2],
  ['mtfa', 270, 2], ['hmpre', 272, 4], ['hmmin', 276, 4], ['tnvmcap', 280, 16], ['unvmcap', 296, 16], ['rpmbs', 312, 4, 'x'], ['edstt', 316, 2], ['dsto', 318, 1], ['fwug', 319, 1],
  ['kas', 320, 2], ['hctma', 322, 2, 'x'], ['mntmt', 324, 2], ['mxtmt', 326, 2], ['sanicap', 328, 4, 'x'], ['hmminds', 332, 4], ['hmmaxd', 336, 2], ['nsetidmax', 338, 2], ['endgidmax', 340, 2],
  ['anatt', 342, 1], ['anacap', 343, 1], ['anagrpmax', 344, 4], ['nanagrpid', 348, 4], ['pels', 352, 4], ['domainid', 356, 2], ['megcap', 368, 16], ['sqes', 512, 1, 'x'], ['cqes', 513, 1, 'x'],
  ['maxcmd', 514, 2], ['nn', 516, 4], ['oncs', 520, 2, 'x'], ['fuses', 522, 2, 'x'], ['fna', 524, 1, 'x'], ['vwc', 525, 1, 'x'], ['awun', 526, 2], ['awupf', 528, 2], ['icsvscc', 530, 1],
  ['nwpc', 531, 1], ['acwu', 532, 2], ['ocfs', 534, 2, 'x'], ['sgls', 536, 4, 'x'], ['mnan', 540, 4], ['maxdna', 544, 16], ['maxcna', 560, 4], ['subnqn', 768, 'text', 256],
  ['ioccsz', 1792, 4], ['iorcsz', 1796, 4], ['icdoff', 1800, 2], ['fcatt', 1802, 1], ['msdbd', 1803, 1], ['ofcs', 1804, 2],
];

/** One power state descriptor, 32 bytes from byte 2048 on. */
export const powerStateFields: readonly Field[] = [
  ['max_power', 0, 2], ['entry_lat', 4, 4], ['exit_lat', 8, 4], ['read_tput', 12, 1], ['read_lat', 13, 1], ['write_tput', 14, 1], ['write_lat', 15, 1], ['idle_power', 16, 2],
];

/** Identify Namespace of the NVM command set; names of nvme-cli's id-ns. */
export const namespaceFields: readonly Field[] = [
  ['nsze', 0, 8, 'x'], ['ncap', 8, 8, 'x'], ['nuse', 16, 8, 'x'], ['nsfeat', 24, 1, 'x'], ['nlbaf', 25, 1], ['flbas', 26, 1, 'x'], ['mc', 27, 1, 'x'], ['dpc', 28, 1, 'x'], ['dps', 29, 1, 'x'],
  ['nmic', 30, 1, 'x'], ['rescap', 31, 1, 'x'], ['fpi', 32, 1, 'x'], ['dlfeat', 33, 1], ['nawun', 34, 2], ['nawupf', 36, 2], ['nacwu', 38, 2], ['nabsn', 40, 2], ['nabo', 42, 2],
  ['nabspf', 44, 2], ['noiob', 46, 2], ['nvmcap', 48, 16], ['mssrl', 74, 2], ['mcl', 76, 4], ['msrc', 80, 1], ['nulbaf', 82, 1], ['anagrpid', 92, 4], ['nsattr', 99, 1], ['nvmsetid', 100, 2],
  ['endgid', 102, 2], ['nguid', 104, 'hex', 16], ['eui64', 120, 'hex', 8],
];

/** Identify Namespace of the KV command set (CNS 05h, CSI 1): the specification's names in nvme-cli's spelling. */
export const kvNamespaceFields: readonly Field[] = [
  ['nsze', 0, 8, 'x'], ['nuse', 16, 8, 'x'], ['nsfeat', 24, 1, 'x'], ['nkvf', 25, 1], ['nmic', 26, 1, 'x'], ['rescap', 27, 1, 'x'], ['fpi', 28, 1, 'x'], ['novg', 32, 4], ['anagrpid', 36, 4],
  ['nsattr', 43, 1], ['nvmsetid', 44, 2], ['endgid', 46, 2], ['nguid', 48, 'hex', 16], ['eui64', 64, 'hex', 8], ['kml', 72, 2], ['vml', 76, 4], ['mnk', 80, 4],
];

/** What namespaces of other command sets tell (CNS 05h). */
export const otherNamespaceFields: readonly Field[] = [['nsze', 0, 8, 'x'], ['nuse', 16, 8, 'x']];

/** SMART / Health log; names of nvme-cli's smart-log. */
export const smartFields: readonly Field[] = [
  ['critical_warning', 0, 1], ['temperature', 1, 2], ['avail_spare', 3, 1], ['spare_thresh', 4, 1], ['percent_used', 5, 1], ['endurance_grp_critical_warning_summary', 6, 1],
  ['data_units_read', 32, 16], ['data_units_written', 48, 16], ['host_read_commands', 64, 16], ['host_write_commands', 80, 16], ['controller_busy_time', 96, 16], ['power_cycles', 112, 16],
  ['power_on_hours', 128, 16], ['unsafe_shutdowns', 144, 16], ['media_errors', 160, 16], ['num_err_log_entries', 176, 16], ['warning_temp_time', 192, 4], ['critical_comp_time', 196, 4],
  ['thm_temp1_trans_count', 216, 4], ['thm_temp2_trans_count', 220, 4], ['thm_temp1_total_time', 224, 4], ['thm_temp2_total_time', 228, 4],
];

export const errorEntryBytes = 64;
/** Error log entry; names of nvme-cli's error-log. status_field comes with the phase tag in bit 0. */
export const errorFields: readonly Field[] = [
  ['error_count', 0, 8], ['sqid', 8, 2], ['cmdid', 10, 2, 'x'], ['status_field', 12, 2, 'x'], ['phase_tag', 12, 2, 'x'], ['parm_error_location', 14, 2, 'x'], ['lba', 16, 8, 'x'], ['nsid', 24, 4, 'x'],
  ['vs', 28, 1], ['trtype', 29, 1], ['csi', 30, 1], ['opcode', 31, 1], ['cs', 32, 8, 'x'], ['trtype_spec_info', 40, 2], ['log_page_version', 63, 1],
];
