/** The thread of the address index. */
export { advance, prune } from './build.ts'
