/** What a disk does to files: what a failed write means, and whether an LMDB file may be mapped. Every store looks here. */
export { diskFault } from './fault.ts'
export { damageOfFile } from './lmdb-file.ts'
