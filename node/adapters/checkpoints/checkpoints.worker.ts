/** The thread of checkpoints: it reads what others write, and holds the state only while nobody else does. */
export { makeCheckpoint } from './make.ts'
export { restoreState } from './restore.ts'
