/** What a simulation leaves to chance, all of it drawn from one seed. */
import { seededRandom } from '../seeded-random.ts'

export class Chance {
  /** In [0, 1). */
  readonly next: () => number

  constructor(seed: number) {
    this.next = seededRandom(seed)
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** From `least` to `most`, each order of magnitude as likely as the next. */
  sizeBetween(least: number, most: number): number {
    return least * (most / least) ** this.next()
  }

  /** As `sizeBetween`, of whole numbers. */
  countBetween(least: number, most: number): number {
    return Math.round(this.sizeBetween(least, most))
  }

  odds(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length - 1)]
  }

  /** Each of them with a probability of one half. */
  some<T>(choices: readonly T[]): T[] {
    return choices.filter(() => this.odds(0.5))
  }

  /** Hexadecimal digits. */
  hex(digits: number): string {
    return Array.from({ length: digits }, () => this.between(0, 15).toString(16)).join('')
  }
}
