/** What a disk does to files: what a failed write means, whether an LMDB file may be mapped, copies of one. Every store looks here. */
export { diskFault } from './fault.ts'
export { type Compacted, compactEnvironment } from './lmdb-compact.ts'
export { copyEnvironment } from './lmdb-copy.ts'
export { damageOfFile } from './lmdb-file.ts'
