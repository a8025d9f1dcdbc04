/** SSZ proofs of single fields of a header (protocol §2.1): a branch from the field to the block's hash. */
import type { Type } from '@chainsafe/ssz'
import { equalBytes, sha256 } from '../../crypto/index.ts'
import { type BlockHeader, BlockHeaderType } from '../block/index.ts'

export type HeaderField = keyof BlockHeader

export const HEADER_FIELDS = Object.keys(BlockHeaderType.fields) as readonly HeaderField[]

/** Levels of the tree of a container: its fields, filled up with zeros to a power of two, 16. */
const DEPTH = 4

/** Siblings from the field up to the root. */
export function proveField(header: BlockHeader, field: HeaderField): readonly Uint8Array[] {
  let level = HEADER_FIELDS.map((name) => rootOf(name, header[name]))
  while (level.length < 2 ** DEPTH) level.push(new Uint8Array(32))
  let place = HEADER_FIELDS.indexOf(field)
  const branch: Uint8Array[] = []
  while (level.length > 1) {
    branch.push(level[place ^ 1] as Uint8Array)
    level = Array.from({ length: level.length >> 1 }, (_, at) =>
      sha256(level[2 * at] as Uint8Array, level[2 * at + 1] as Uint8Array),
    )
    place >>= 1
  }
  return branch
}

/** Whether the header of the block with this hash has `value` in `field`. Total. */
export function verifyField<F extends HeaderField>(
  hash: Uint8Array,
  field: F,
  value: BlockHeader[F],
  branch: readonly Uint8Array[],
): boolean {
  let place = HEADER_FIELDS.indexOf(field)
  if (place < 0 || branch.length !== DEPTH) return false
  let root = rootOf(field, value)
  for (const sibling of branch) {
    root = place % 2 === 0 ? sha256(root, sibling) : sha256(sibling, root)
    place >>= 1
  }
  return equalBytes(root, hash)
}

function rootOf(field: HeaderField, value: unknown): Uint8Array {
  return (BlockHeaderType.fields[field] as unknown as Type<unknown>).hashTreeRoot(value)
}

/** A field's SSZ bytes, as the API gives them. */
export function encodeField(header: BlockHeader, field: HeaderField): Uint8Array {
  return (BlockHeaderType.fields[field] as unknown as Type<unknown>).serialize(header[field])
}
