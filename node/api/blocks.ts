/** Finding the block that a parameter names. */
import { ApiFailure } from './errors.ts'
import type { BlockRef } from './params.ts'
import type { EvmBlock, EvmView } from './port.ts'

/** Its height, whether or not there is such a block yet; undefined for an unknown hash. */
export function heightOf(evm: EvmView, ref: BlockRef): number | undefined {
  switch (ref.kind) {
    case 'hash':
      return evm.heightOf(ref.hash)
    case 'number':
      return ref.number
    case 'tag':
      return ref.tag === 'earliest' ? 0 : evm.headHeight()
  }
}

/** Undefined when there is no such block. */
export function findBlock(evm: EvmView, ref: BlockRef): EvmBlock | undefined {
  const height = heightOf(evm, ref)
  return height === undefined ? undefined : evm.blockAt(height)
}

export function blockNotFound(): ApiFailure {
  return new ApiFailure('ResourceNotFound', 'block not found')
}

/** A failure unless the state after that block is the one that is kept: the head's. */
export function checkStateAt(evm: EvmView, ref: BlockRef): ApiFailure | undefined {
  if (ref.kind === 'tag' && ref.tag !== 'earliest') return undefined
  const height = heightOf(evm, ref)
  const head = evm.headHeight()
  if (height === undefined || height > head) return blockNotFound()
  return height === head ? undefined : new ApiFailure('StateUnavailable')
}
