/**
 * Programs with several commands, each a table: what there is, which options each command takes and what they mean. Help, parsing and the
 * errors follow from it. Kept invariant: a command gets no option that its line of the help does not name, and none twice that stands once.
 */
export { KNOWN_BLOCK, KNOWN_BLOCK_EXPECTED, knownBlock } from './known-block.ts'
export { nearest } from './nearest.ts'
export { Refusal, usage } from './refusal.ts'
export {
  type Command,
  type Flags,
  helpOf,
  type OptionsOf,
  type Program,
  runCommand,
  type Said,
} from './table.ts'
export { wrongUse } from './wrong-use.ts'
