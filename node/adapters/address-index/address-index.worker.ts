/** The thread of the address index. */
export { advance, page, prune } from './build.ts'
