//! The permutation that Go's `sort.Slice` makes.
//!
//! `sort.Slice` is unstable: equal elements change places. But what it does is determined by the comparisons alone
//! (pattern-defeating quicksort, Orson Peters, 2021; insertion sort up to twelve elements; a xorshift generator seeded
//! by the length breaks bad patterns), and Karpenter's decisions depend on it wherever ties decide. This is an
//! implementation of that published algorithm with the parameters of Go 1.19 to 1.26. `less` sees elements, not
//! indexes, which comes to the same as long as it depends on the elements alone.

/// Up to this length insertion sort does it all.
pub const INSERTION_MAX: usize = 12;
/// From this length on the pivot is a median of medians.
const NINTHER_MIN: usize = 50;
/// How many pairs out of order are mended before a nearly sorted range is given up.
const MEND_MAX: usize = 5;
/// Ranges shorter than this are not mended.
pub const MEND_MIN: usize = 50;
/// With so many exchanges a range counts as descending.
const DESCENDING_SWAPS: usize = 12;

/// Sorts `elements` as `sort.Slice` would with this `less`.
pub fn sort_slice<T>(elements: &mut [T], mut less: impl FnMut(&T, &T) -> bool) {
    let length = elements.len();
    let limit = usize::BITS - length.leading_zeros();
    quicksort(elements, &mut less, 0, length, limit);
}

/// Whether the search for a pivot in the whole of `elements` meets no two out of order, so that they count as increasing.
pub fn probes_increasing<T>(elements: &[T], mut less: impl FnMut(&T, &T) -> bool) -> bool {
    choose_pivot(elements, &mut less, 0, elements.len()).1 == Hint::Increasing
}

fn insertion_sort<T>(v: &mut [T], less: &mut impl FnMut(&T, &T) -> bool, from: usize, to: usize) {
    for i in from + 1..to {
        let mut j = i;
        while j > from && less(&v[j], &v[j - 1]) {
            v.swap(j, j - 1);
            j -= 1;
        }
    }
}

fn sift_down<T>(v: &mut [T], less: &mut impl FnMut(&T, &T) -> bool, low: usize, high: usize, first: usize) {
    let mut root = low;
    loop {
        let mut child = 2 * root + 1;
        if child >= high {
            return;
        }
        if child + 1 < high && less(&v[first + child], &v[first + child + 1]) {
            child += 1;
        }
        if !less(&v[first + root], &v[first + child]) {
            return;
        }
        v.swap(first + root, first + child);
        root = child;
    }
}

fn heap_sort<T>(v: &mut [T], less: &mut impl FnMut(&T, &T) -> bool, from: usize, to: usize) {
    let length = to - from;
    for i in (0..length.div_ceil(2)).rev() {
        sift_down(v, less, i, length, from);
    }
    for i in (0..length).rev() {
        v.swap(from, from + i);
        sift_down(v, less, 0, i, from);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    Unknown,
    Increasing,
    Decreasing,
}

fn quicksort<T>(
    v: &mut [T],
    less: &mut impl FnMut(&T, &T) -> bool,
    mut from: usize,
    mut to: usize,
    mut limit: u32,
) {
    let mut was_balanced = true;
    let mut was_partitioned = true;
    loop {
        let length = to - from;
        if length <= INSERTION_MAX {
            insertion_sort(v, less, from, to);
            return;
        }
        if limit == 0 {
            heap_sort(v, less, from, to);
            return;
        }
        if !was_balanced {
            break_patterns(v, from, to);
            limit -= 1;
        }
        let (mut pivot, mut hint) = choose_pivot(v, less, from, to);
        if hint == Hint::Decreasing {
            v[from..to].reverse();
            pivot = (to - 1) - (pivot - from);
            hint = Hint::Increasing;
        }
        if was_balanced && was_partitioned && hint == Hint::Increasing && mend(v, less, from, to) {
            return;
        }
        // Many elements equal to the one before the range: split off those equal to the pivot.
        if from > 0 && !less(&v[from - 1], &v[pivot]) {
            from = partition_equal(v, less, from, to, pivot);
            continue;
        }
        let (middle, already_partitioned) = partition(v, less, from, to, pivot);
        was_partitioned = already_partitioned;
        let (left, right) = (middle - from, to - middle);
        let balance_threshold = length / 8;
        if left < right {
            was_balanced = left >= balance_threshold;
            quicksort(v, less, from, middle, limit);
            from = middle + 1;
        } else {
            was_balanced = right >= balance_threshold;
            quicksort(v, less, middle + 1, to, limit);
            to = middle;
        }
    }
}

/// Puts what is less than the pivot to its left, the rest to its right. Tells where the pivot is, and whether nothing
/// had to be moved.
fn partition<T>(
    v: &mut [T],
    less: &mut impl FnMut(&T, &T) -> bool,
    from: usize,
    to: usize,
    pivot: usize,
) -> (usize, bool) {
    v.swap(from, pivot);
    let (mut i, mut j) = (from + 1, to - 1);
    while i <= j && less(&v[i], &v[from]) {
        i += 1;
    }
    while i <= j && !less(&v[j], &v[from]) {
        j -= 1;
    }
    if i > j {
        v.swap(j, from);
        return (j, true);
    }
    v.swap(i, j);
    i += 1;
    j -= 1;
    loop {
        while i <= j && less(&v[i], &v[from]) {
            i += 1;
        }
        while i <= j && !less(&v[j], &v[from]) {
            j -= 1;
        }
        if i > j {
            break;
        }
        v.swap(i, j);
        i += 1;
        j -= 1;
    }
    v.swap(j, from);
    (j, false)
}

/// Puts what equals the pivot first. Tells where the rest begins.
fn partition_equal<T>(
    v: &mut [T],
    less: &mut impl FnMut(&T, &T) -> bool,
    from: usize,
    to: usize,
    pivot: usize,
) -> usize {
    v.swap(from, pivot);
    let (mut i, mut j) = (from + 1, to - 1);
    loop {
        while i <= j && !less(&v[from], &v[i]) {
            i += 1;
        }
        while i <= j && less(&v[from], &v[j]) {
            j -= 1;
        }
        if i > j {
            return i;
        }
        v.swap(i, j);
        i += 1;
        j -= 1;
    }
}

/// Mends a nearly sorted range. Tells whether it is sorted now.
fn mend<T>(v: &mut [T], less: &mut impl FnMut(&T, &T) -> bool, from: usize, to: usize) -> bool {
    let mut i = from + 1;
    for _ in 0..MEND_MAX {
        while i < to && !less(&v[i], &v[i - 1]) {
            i += 1;
        }
        if i == to {
            return true;
        }
        if to - from < MEND_MIN {
            return false;
        }
        v.swap(i, i - 1);
        if i - from >= 2 {
            for j in (1..i).rev() {
                if !less(&v[j], &v[j - 1]) {
                    break;
                }
                v.swap(j, j - 1);
            }
        }
        if to - i >= 2 {
            for j in i + 1..to {
                if !less(&v[j], &v[j - 1]) {
                    break;
                }
                v.swap(j, j - 1);
            }
        }
    }
    false
}

/// Scatters three elements around the middle.
fn break_patterns<T>(v: &mut [T], from: usize, to: usize) {
    let length = to - from;
    if length < 8 {
        return;
    }
    let mut random = length as u64;
    let modulus = 1usize << (usize::BITS - length.leading_zeros());
    let index = from + (length / 4) * 2 - 1;
    for i in 0..3 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut other = (random as usize) & (modulus - 1);
        if other >= length {
            other -= length;
        }
        v.swap(index + i, from + other);
    }
}

fn choose_pivot<T>(v: &[T], less: &mut impl FnMut(&T, &T) -> bool, from: usize, to: usize) -> (usize, Hint) {
    let length = to - from;
    let mut swaps = 0;
    let mut i = from + length / 4;
    let mut j = from + length / 4 * 2;
    let mut k = from + length / 4 * 3;
    if length >= 8 {
        if length >= NINTHER_MIN {
            i = median(v, less, i - 1, i, i + 1, &mut swaps);
            j = median(v, less, j - 1, j, j + 1, &mut swaps);
            k = median(v, less, k - 1, k, k + 1, &mut swaps);
        }
        j = median(v, less, i, j, k, &mut swaps);
    }
    match swaps {
        0 => (j, Hint::Increasing),
        DESCENDING_SWAPS => (j, Hint::Decreasing),
        _ => (j, Hint::Unknown),
    }
}

fn median<T>(
    v: &[T],
    less: &mut impl FnMut(&T, &T) -> bool,
    mut a: usize,
    mut b: usize,
    mut c: usize,
    swaps: &mut usize,
) -> usize {
    let mut order = |x: &mut usize, y: &mut usize| {
        if less(&v[*y], &v[*x]) {
            *swaps += 1;
            std::mem::swap(x, y);
        }
    };
    order(&mut a, &mut b);
    order(&mut b, &mut c);
    order(&mut a, &mut b);
    b
}

#[cfg(test)]
mod tests {
    use super::sort_slice;

    /// Elements are (key, original index); Go 1.26 made `expected` from `keys` (indexes after sorting by key).
    fn check(keys: &[u32], expected: &[usize]) {
        let mut elements: Vec<(u32, usize)> = keys.iter().copied().zip(0..).collect();
        sort_slice(&mut elements, |a, b| a.0 < b.0);
        assert_eq!(elements.iter().map(|e| e.1).collect::<Vec<_>>(), expected, "keys {keys:?}");
    }

    include!("go_sort_recorded.rs");
}
