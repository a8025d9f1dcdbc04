/** Finding the block that a parameter names. */
import { PAST_BLOCKS } from '../../vm/evm/index.ts'
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

/** What to answer where `findBlock` finds none: null, or that it is no longer kept. */
export function absentBlock(evm: EvmView, ref: BlockRef): ApiFailure | null {
  const height = heightOf(evm, ref)
  return height !== undefined && evm.isPruned(height) ? new ApiFailure('HistoryPruned') : null
}

export function blockNotFound(): ApiFailure {
  return new ApiFailure('ResourceNotFound', 'block not found')
}

/** The height of the state that a parameter names, or why there is none. */
export function stateHeightOf(evm: EvmView, ref: BlockRef): number | ApiFailure {
  const height = heightOf(evm, ref)
  return height === undefined || height > evm.headHeight() ? blockNotFound() : height
}

export function stateUnavailable(height?: number): ApiFailure {
  const which = height === undefined ? '' : ` of block ${height}`
  return new ApiFailure(
    'StateUnavailable',
    `historical state${which} is not available: this node keeps the state of the last ${PAST_BLOCKS} blocks`,
  )
}
