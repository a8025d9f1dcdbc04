/** The state of the chain after a block, as far as the next block's validity depends on it. */
import {
  type BlockHeader,
  blockHash,
  type CommittedBlock,
  emptyCertificate,
  genesisHeader,
  genesisValidatorsHash,
  type QuorumCertificate,
} from '../block/index.ts'
import { genesisLedger, type Ledger, ledgerRoot } from '../ledger/index.ts'
import type { Genesis, Validator } from '../params/index.ts'

export interface ChainHead {
  readonly header: BlockHeader
  readonly hash: Uint8Array
  readonly ledger: Ledger
  /** What the EVM block of this height fixed for its child. */
  readonly evm: {
    readonly hash: Uint8Array
    readonly number: number
    readonly prevRandao: Uint8Array
    readonly gasLimit: number
  }
  /** Fee rates of the last 2n + 1 headers, oldest first (4.5). */
  readonly feeRates: readonly number[]
}

/** Headers whose fee rates enter the reference rate: the last 2n + 1. */
export function feeRateWindow(validators: number): number {
  return 2 * validators + 1
}

/** The head that every chain starts from. */
export function genesisHead(genesis: Genesis): ChainHead {
  const ledger = genesisLedger(genesis)
  const header = genesisHeader(genesis, ledgerRoot(ledger))
  return {
    header,
    hash: blockHash(header),
    ledger,
    evm: {
      hash: genesis.execution.blockHash,
      number: 0,
      prevRandao: genesis.prevRandao,
      gasLimit: genesis.execution.gasLimit,
    },
    feeRates: [header.feeRateSatPerKvb],
  }
}

/**
 * The head after a stored block, from its ledger and the fee rates of the headers up to it. The caller loaded what it had
 * persisted; nothing is checked again.
 */
export function headFromStored(
  committed: CommittedBlock,
  ledger: Ledger,
  feeRates: readonly number[],
): ChainHead {
  const { header, body } = committed.block
  return {
    header,
    hash: blockHash(header),
    ledger,
    evm: {
      hash: header.evmBlockHash,
      number: body.payload.blockNumber,
      prevRandao: body.payload.prevRandao,
      gasLimit: body.payload.gasLimit,
    },
    feeRates,
  }
}

/** The validators of the block after `head`. Sets change by blocks later; until then they are the genesis file's. */
export function validatorsAfter(genesis: Genesis, _head: ChainHead): readonly Validator[] {
  return genesis.validators
}

/** The validators of the block `head` itself, who signed its certificate. */
export function validatorsAt(genesis: Genesis, _head: ChainHead): readonly Validator[] {
  return genesis.validators
}

export function validatorsHashAfter(genesis: Genesis, _head: ChainHead): Uint8Array {
  return genesisValidatorsHash(genesis)
}

/** The certificate that block 1 carries for the genesis block: none. */
export const GENESIS_CERTIFICATE: QuorumCertificate = emptyCertificate()
