// The numbers each model takes, as native/core/model/settings.h lists them (a test compares). Here so that a profile is
// checked where it is read, without the addon.

export const flashNames = [
  'channels', 'lunsPerChannel', 'flashPageBytes', 'programBytes', 'pagesPerBlock', 'pageTypes', 'readSmallNs', 'readNs', 'readSpreadNs', 'programNs', 'eraseNs',
  'channelBytesPerSecond', 'channelChunkBytes', 'firmwareSmallBytes', 'firmwareSmallNs', 'firmwareNs', 'writeFixedNs', 'writePerPageNs', 'bufferBytes', 'overProvision',
  'deviceBytesPerSecond', 'suspendNs', 'streamReadBytesPerSecond', 'streamWriteBytesPerSecond', 'splitBytes', 'splitNs',
] as const;

export const unitNames = ['units', 'readFixedNs', 'readUnitNs', 'writeFixedNs', 'writeUnitNs'] as const;

export const memoryNames = [
  'lineBytes', 'modules', 'interleaveBytes', 'loadNs', 'loadBufferedNs', 'storeNtNs', 'storeFlushedNs', 'lineReadNs', 'lineWriteNs', 'lineWriteOverhead', 'ownershipNs',
  'threadReadBytesPerSecond', 'threadWriteBytesPerSecond', 'bufferLines', 'bufferBacklogNs', 'readThreads', 'readThreadsPower', 'writeThreads', 'writeThreadsPower',
  'wearBlockBytes', 'wearWrites', 'wearStallNs', 'linkReadBytesPerSecond', 'linkWriteBytesPerSecond',
] as const;

export const powerNames = ['idleW', 'readW', 'writeW', 'linkPjPerBit', 'memoryPjPerBit', 'coreW'] as const;
