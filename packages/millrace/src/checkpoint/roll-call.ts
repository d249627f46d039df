/** What every slot says once about one checkpoint. A second answer of a slot, or one about another checkpoint, does not count. */
export class RollCall<T> {
  private readonly checkpointId: number
  private readonly answers: (T | undefined)[]

  constructor(checkpointId: number, slots: number) {
    this.checkpointId = checkpointId
    this.answers = Array.from({ length: slots })
  }

  /** True with the answer that completes it. */
  answer(slot: number, checkpointId: number, answer: T): boolean {
    if (checkpointId !== this.checkpointId || this.answers[slot] !== undefined) return false
    this.answers[slot] = answer
    return this.answers.every(given => given !== undefined)
  }

  /** By slot, of those that have answered. */
  given(): T[] {
    return this.answers.filter(answer => answer !== undefined)
  }
}
