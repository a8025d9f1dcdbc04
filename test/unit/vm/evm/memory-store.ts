import type { AccountRecord } from '../../../../vm/evm/account.ts'
import type { EngineStore, StoredBlock } from '../../../../vm/evm/engine.ts'
import type { StateDelta, StateView } from '../../../../vm/evm/state.ts'

/** State in maps: the reference for the LMDB store. */
export class MemoryState implements StateView {
  readonly accounts = new Map<string, AccountRecord>()
  readonly values = new Map<string, Map<string, Uint8Array>>()
  readonly codes = new Map<string, Uint8Array>()
  readonly nodes = new Map<string, Uint8Array>()
  readonly hashes = new Map<number, Uint8Array>()

  apply(delta: StateDelta): void {
    for (const [key, account] of delta.accounts) {
      if (account === null) this.accounts.delete(key)
      else this.accounts.set(key, account)
    }
    for (const [address, slots] of delta.storage) {
      const held = this.values.get(address) ?? new Map<string, Uint8Array>()
      this.values.set(address, held)
      for (const [slot, value] of slots) {
        if (value.length === 0) held.delete(slot)
        else held.set(slot, value)
      }
    }
    for (const [hash, code] of delta.code) this.codes.set(hash, code)
    for (const [path, node] of delta.nodes) {
      if (node === null) this.nodes.delete(path)
      else this.nodes.set(path, node)
    }
  }

  clear(): void {
    for (const part of [this.accounts, this.values, this.codes, this.nodes, this.hashes]) {
      part.clear()
    }
  }

  account(address: string) {
    return this.accounts.get(address)
  }
  storage(address: string, slot: string) {
    return this.values.get(address)?.get(slot) ?? new Uint8Array(0)
  }
  code(hash: string) {
    return this.codes.get(hash)
  }
  slots(address: string) {
    return this.values.get(address)?.keys() ?? []
  }
  node(path: string) {
    return this.nodes.get(path)
  }
  blockHash(height: number) {
    return this.hashes.get(height)
  }
}

export class MemoryStore implements EngineStore {
  readonly state = new MemoryState()
  readonly blocks: StoredBlock[] = []

  head() {
    const last = this.blocks.at(-1)
    return last && { number: last.payload.blockNumber, hash: last.payload.blockHash }
  }
  view() {
    return this.state
  }
  hashAt(height: number) {
    return this.blocks[height]?.payload.blockHash
  }
  payloadAt(height: number) {
    return this.blocks[height]?.payload
  }
  receiptsAt(height: number) {
    return this.blocks[height]?.receipts
  }
  clear(): void {
    this.state.clear()
    this.blocks.length = 0
  }
  async append(blocks: readonly StoredBlock[]) {
    for (const block of blocks) {
      this.state.apply(block.delta)
      this.state.hashes.set(block.payload.blockNumber, block.payload.blockHash)
      this.blocks.push(block)
    }
  }
}
