/** The addresses that a node of the world gave out: on its disk before their user hears of them, and there after a crash. */
import type { DepositAddresses } from '../../actors/bridge/index.ts'
import type { OwnAddress } from '../../core/peg/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'

export class AddressDisk {
  /** By script in hex. */
  readonly #rows = new Map<string, OwnAddress>()
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  book(life: Life): DepositAddresses {
    return {
      find: (scriptPubKey) => this.#rows.get(toHex(scriptPubKey)),
      watch: (scriptPubKey, address) =>
        life.io(this.#chance.between(1, 8), 'watch address', () => {
          this.#rows.set(toHex(scriptPubKey), address)
        }),
    }
  }
}
