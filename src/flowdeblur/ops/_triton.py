"""The spatially variant RNN on a GPU: Triton kernels, which ``_cuda.py`` launches.

Contiguous maps: lines along a column are walked step by step, neighbouring columns abreast; lines
along a row are composed by an associative scan, a row inside one warp. All four directions run in
one launch, programs that read the same features one after another, so that these come from the
level-2 cache after their first read. Channels_last maps: channels stand abreast, and every
direction is a walk.

The backward pass takes two launches, columns and rows, because the gradient of the features is a
sum over four directions: it is added up in a fixed order, without atomics. It reads one saved state
per block of steps and computes the others again.

Names: f features, w weights, h states, g gradient of the states, gf and gw gradients of f and w,
total the sum for gf so far. STATE is the type of states. Offsets of planes have 64 bits, those
within a plane 32.
"""

# Triton compiles these functions: arguments have no Python types, and tuples grow by addition.
# ruff: noqa: ANN001, ANN202, RUF005
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _activate(w, STATE: tl.constexpr, TANH: tl.constexpr):
    w = w.to(STATE)
    if TANH:
        w = 2 * tl.sigmoid(2 * w) - 1  # tanh, to 2e-7; the interpreter has no tanh
    return w


@triton.jit
def _compose(a_left, h_left, a_right, h_right):
    """Compose h -> a h + b of two stretches of a line, the left one first."""
    return a_left * a_right, h_left * a_right + h_right


@triton.jit
def _compose_both(a_left, b_left, e_left, k_left, a_right, b_right, e_right, k_right):
    """Compose stretches, and (e, k) their compositions without the last step."""
    return (
        a_left * a_right,
        b_left * a_right + b_right,
        b_left * k_right + e_right,
        a_left * k_right,
    )


@triton.jit
def _walk_forward(
    f, w, h, f_step, w_step, steps, lengths,
    STATE: tl.constexpr, TANH: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Walk lines from the pixels at pointers f, w and h, a block of STEPS loads at a time."""
    state = tl.zeros(lengths.shape, STATE)
    for start in range(0, steps, STEPS):
        fs = ()
        ws = ()
        for u in tl.static_range(STEPS):
            t = start + u
            mask = t < lengths
            fs = fs + (tl.load(f + t * f_step, mask=mask, other=0.0),)
            ws = ws + (tl.load(w + t * w_step, mask=mask, other=0.0),)
        for u in tl.static_range(STEPS):
            t = start + u
            mask = t < lengths
            f_t = fs[u].to(STATE)
            state = f_t + _activate(ws[u], STATE, TANH) * (state - f_t)
            tl.store(h + t * w_step, state.to(h.dtype.element_ty), mask=mask)


@triton.jit
def _walk_backward(
    f, w, h, g, total, gf, gw, f_step, w_step, steps, lengths,
    ADD: tl.constexpr, STATE: tl.constexpr, TANH: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Walk lines from their end; gf takes the gradient of f, added to the total so far if ADD."""
    carry = tl.zeros(lengths.shape, STATE)
    blocks = tl.cdiv(steps, STEPS)
    for block in range(blocks):
        start = (blocks - 1 - block) * STEPS
        fs = ()
        ws = ()
        gs = ()
        totals = ()
        for u in tl.static_range(STEPS):
            t = start + u
            mask = t < lengths
            fs = fs + (tl.load(f + t * f_step, mask=mask, other=0.0),)
            ws = ws + (tl.load(w + t * w_step, mask=mask, other=0.0),)
            gs = gs + (tl.load(g + t * w_step, mask=mask, other=0.0),)
            if ADD:
                totals = totals + (tl.load(total + t * f_step, mask=mask, other=0.0),)
        saved = tl.where(start > 0, lengths, 0) > 0
        state = tl.load(h + (start - 1) * w_step, mask=saved, other=0.0).to(STATE)
        activated = ()
        differences = ()
        for u in tl.static_range(STEPS):
            f_t = fs[u].to(STATE)
            w_t = _activate(ws[u], STATE, TANH)
            d_t = state - f_t
            state = f_t + w_t * d_t
            activated = activated + (w_t,)
            differences = differences + (d_t,)
        for u in tl.static_range(STEPS - 1, -1, -1):
            t = start + u
            mask = t < lengths
            w_t = activated[u]
            g_t = gs[u].to(STATE) + carry
            carry = w_t * g_t
            gw_t = g_t * differences[u]
            if TANH:
                gw_t *= 1 - w_t * w_t
            tl.store(gw + t * w_step, gw_t.to(gw.dtype.element_ty), mask=mask)
            gf_t = (1 - w_t) * g_t
            if ADD:
                gf_t += totals[u]
            tl.store(gf + t * f_step, gf_t.to(gf.dtype.element_ty), mask=mask)


@triton.jit
def _scan_forward(
    f, w, h, width, widths,
    FROM_END: tl.constexpr, STATE: tl.constexpr, TANH: tl.constexpr,
    ROWS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Scan rows that start at pointers f, w and h (ROWS, 1).

    Beyond the width, f and w read as 0. That is the first block from the end, where the carry is 0.
    """
    column = tl.arange(0, STEPS)[None, :]
    carry = tl.zeros([ROWS], STATE)
    blocks = tl.cdiv(width, STEPS)
    for block in range(blocks):
        x = (blocks - 1 - block if FROM_END else block) * STEPS + column
        mask = x < widths
        a = _activate(tl.load(w + x, mask=mask, other=0.0), STATE, TANH)
        f_x = tl.load(f + x, mask=mask, other=0.0).to(STATE)
        a, state = tl.associative_scan((a, (1 - a) * f_x), 1, _compose, reverse=FROM_END)
        state += a * carry[:, None]
        tl.store(h + x, state.to(h.dtype.element_ty), mask=mask)
        carry = tl.sum(tl.where(column == (0 if FROM_END else STEPS - 1), state, 0.0), 1)


@triton.jit
def _scan_backward(
    f, w, h, g, total, gf, gw, width, widths,
    FROM_END: tl.constexpr, STATE: tl.constexpr, TANH: tl.constexpr,
    ROWS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Scan rows from the end of their direction; gf takes the gradient of f added to total."""
    column = tl.arange(0, STEPS)[None, :]
    zero = tl.zeros([ROWS, STEPS], STATE)
    one = tl.full([ROWS, STEPS], 1.0, STATE)
    carry = tl.zeros([ROWS], STATE)
    blocks = tl.cdiv(width, STEPS)
    for i in range(blocks):
        if FROM_END:
            block = i
            before = (block + 1) * STEPS
        else:
            block = blocks - 1 - i
            before = block * STEPS - 1
        x = block * STEPS + column
        mask = x < widths
        a = _activate(tl.load(w + x, mask=mask, other=0.0), STATE, TANH)
        f_x = tl.load(f + x, mask=mask, other=0.0).to(STATE)
        g_x = tl.load(g + x, mask=mask, other=0.0).to(STATE)
        so_far = tl.load(total + x, mask=mask, other=0.0)
        saved = before < tl.where(before < 0, before, widths)
        h_before = tl.load(h + before, mask=saved, other=0.0).to(STATE)
        _, _, e, k = tl.associative_scan(
            (a, (1 - a) * f_x, zero, one), 1, _compose_both, reverse=FROM_END
        )
        difference = e + k * h_before - f_x
        a_all, b_all, e, k = tl.associative_scan(
            (a, a * g_x, zero, one), 1, _compose_both, reverse=not FROM_END
        )
        g_x += e + k * carry[:, None]
        gw_x = g_x * difference
        if TANH:
            gw_x *= 1 - a * a
        tl.store(gw + x, gw_x.to(gw.dtype.element_ty), mask=mask)
        gf_x = so_far + (1 - a) * g_x
        tl.store(gf + x, gf_x.to(gf.dtype.element_ty), mask=mask)
        first = column == (STEPS - 1 if FROM_END else 0)
        carry = tl.sum(tl.where(first, b_all + a_all * carry[:, None], 0.0), 1)


@triton.jit
def _plane_of_weights(plane, direction, channels):
    """Return the plane of a (B, 4C, H, W) map that belongs to one (b, c) of (B, C, H, W)."""
    return plane + (3 * (plane // channels) + direction) * channels


@triton.jit
def _rows(first, end, direction, channels, height, width, ROWS: tl.constexpr):
    """Locate ROWS rows of all planes' rows, from the one numbered ``first``.

    Returns:
        Offsets (ROWS, 1) in (B, C, H, W) and (B, 4C, H, W) maps, and widths, 0 from row ``end`` on.
    """
    row = first + tl.arange(0, ROWS)[:, None]
    plane = row // height
    skipped = (_plane_of_weights(plane, direction, channels) - plane) * height
    return row * width, (row + skipped) * width, tl.where(row < end, width, 0)


@triton.jit
def _columns(
    group, strip, direction, planes, channels, height, width,
    LANES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Locate COLUMNS columns of LANES / COLUMNS planes.

    Returns:
        Offsets (LANES,) of the first pixel walked in (B, C, H, W) and (B, 4C, H, W) maps, the step
        to the next one, and lengths, 0 for lanes outside.
    """
    lane = tl.arange(0, LANES)
    plane = group * (LANES // COLUMNS) + lane // COLUMNS
    x = strip * COLUMNS + lane % COLUMNS
    from_end = direction % 2
    pixels = height * width
    start = from_end * (height - 1) * width + x
    return (
        plane * pixels + start,
        _plane_of_weights(plane, direction, channels) * pixels + start,
        (1 - 2 * from_end) * width,
        tl.where((x < width) & (plane < planes), height, 0),
    )


@triton.jit(do_not_specialize=["planes", "channels", "height", "width_units"])
def forward_contiguous(
    f, w, h, planes, channels, height, width_units,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr, ROWS: tl.constexpr,
    SCAN: tl.constexpr, LANES: tl.constexpr, COLUMNS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Compute all four directions of contiguous maps; the first programs of a group scan rows."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    width = width_units * ALIGN
    rows_of_group = LANES // COLUMNS * height
    row_parts = 2 * tl.cdiv(rows_of_group, ROWS)
    parts = row_parts + 2 * tl.cdiv(width, COLUMNS)
    group = (tl.program_id(0) // parts).to(tl.int64)
    part = tl.program_id(0) % parts
    if part < row_parts:
        first = group * rows_of_group + part // 2 * ROWS
        end = tl.minimum(group * rows_of_group + rows_of_group, planes * height)
        f_row, w_row, widths = _rows(first, end, part % 2, channels, height, width, ROWS)
        if part % 2 == 0:
            _scan_forward(
                f + f_row, w + w_row, h + w_row, width, widths, False, STATE, TANH, ROWS, SCAN
            )
        else:
            _scan_forward(
                f + f_row, w + w_row, h + w_row, width, widths, True, STATE, TANH, ROWS, SCAN
            )
    else:
        strip = (part - row_parts) // 2
        f_lane, w_lane, step, heights = _columns(
            group, strip, 2 + part % 2, planes, channels, height, width, LANES, COLUMNS
        )
        _walk_forward(
            f + f_lane, w + w_lane, h + w_lane, step, step, height, heights, STATE, TANH, STEPS
        )


@triton.jit(do_not_specialize=["planes", "channels", "height", "width_units"])
def backward_columns(
    f, w, h, g, total, gw, planes, channels, height, width_units,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    LANES: tl.constexpr, COLUMNS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Write gw of both directions of contiguous maps' columns, and their sum for gf."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    width = width_units * ALIGN
    strips = tl.cdiv(width, COLUMNS)
    group = (tl.program_id(0) // strips).to(tl.int64)
    strip = tl.program_id(0) % strips
    for direction in tl.static_range(2, 4):
        f_lane, w_lane, step, heights = _columns(
            group, strip, direction, planes, channels, height, width, LANES, COLUMNS
        )
        _walk_backward(
            f + f_lane, w + w_lane, h + w_lane, g + w_lane, total + f_lane, total + f_lane,
            gw + w_lane, step, step, height, heights, direction == 3, STATE, TANH, STEPS,
        )  # fmt: skip
        tl.debug_barrier()  # the second direction reads what the first one wrote


@triton.jit(do_not_specialize=["planes", "channels", "height", "width_units"])
def backward_rows(
    f, w, h, g, total, gf, gw, planes, channels, height, width_units,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    ROWS: tl.constexpr, SCAN: tl.constexpr,
):  # fmt: skip
    """Write gw of both directions of contiguous maps' rows, and gf."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    width = width_units * ALIGN
    first = tl.program_id(0).to(tl.int64) * ROWS
    f_row, w_row, widths = _rows(first, planes * height, 0, channels, height, width, ROWS)
    _scan_backward(
        f + f_row, w + w_row, h + w_row, g + w_row, total + f_row, total + f_row, gw + w_row,
        width, widths, False, STATE, TANH, ROWS, SCAN,
    )  # fmt: skip
    tl.debug_barrier()  # the second direction reads what the first one wrote
    f_row, w_row, widths = _rows(first, planes * height, 1, channels, height, width, ROWS)
    _scan_backward(
        f + f_row, w + w_row, h + w_row, g + w_row, total + f_row, gf + f_row, gw + w_row,
        width, widths, True, STATE, TANH, ROWS, SCAN,
    )  # fmt: skip


@triton.jit
def _lines_of_channels(
    direction, batch, group, channel_block, channels, height, width,
    LANES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Locate LANES / CHANNELS lines of a channels_last map, CHANNELS channels of each abreast.

    Returns:
        Offsets (LANES,) of the first pixel walked in (B, C, H, W) and (B, 4C, H, W) maps, the step
        in pixels, the number of steps, and lengths, 0 for lanes outside.
    """
    along_row = direction < 2
    from_end = direction % 2
    length = tl.where(along_row, width, height)
    step = tl.where(along_row, 1, width).to(tl.int64)
    lane = tl.arange(0, LANES)
    c = channel_block * CHANNELS + lane % CHANNELS
    line = group * (LANES // CHANNELS) + lane // CHANNELS
    pixel = batch * height * width + from_end * (length - 1) * step
    pixel += line * tl.where(along_row, width, 1)
    inside = (c < channels) & (line < tl.where(along_row, height, width))
    return (
        pixel * channels + c,
        (4 * pixel + direction) * channels + c,
        (1 - 2 * from_end) * step,
        length,
        tl.where(inside, length, 0),
    )


@triton.jit(do_not_specialize=["channel_units", "height", "width"])
def forward_channels_last(
    f, w, h, channel_units, height, width,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    LANES: tl.constexpr, CHANNELS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Compute all four directions of channels_last maps."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    channels = channel_units * ALIGN
    row_parts = 2 * tl.cdiv(height, LANES // CHANNELS)
    parts = row_parts + 2 * tl.cdiv(width, LANES // CHANNELS)
    batch = (tl.program_id(0) // parts).to(tl.int64)
    part = tl.program_id(0) % parts
    group = tl.where(part < row_parts, part, part - row_parts) // 2
    direction = tl.where(part < row_parts, 0, 2) + part % 2
    f_lane, w_lane, step, length, lengths = _lines_of_channels(
        direction, batch, group, tl.program_id(1), channels, height, width, LANES, CHANNELS
    )
    _walk_forward(
        f + f_lane, w + w_lane, h + w_lane, step * channels, 4 * step * channels, length, lengths,
        STATE, TANH, STEPS,
    )  # fmt: skip


@triton.jit(do_not_specialize=["channel_units", "height", "width"])
def backward_channels_last(
    f, w, h, g, total, gf, gw, channel_units, height, width,
    ALONG_ROW: tl.constexpr, ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    LANES: tl.constexpr, CHANNELS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Write gw of channels_last maps' columns and their sum for gf, or gw of rows and gf."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    channels = channel_units * ALIGN
    groups = tl.cdiv(height if ALONG_ROW else width, LANES // CHANNELS)
    batch = (tl.program_id(0) // groups).to(tl.int64)
    group = tl.program_id(0) % groups
    for from_end in tl.static_range(2):
        f_lane, w_lane, step, length, lengths = _lines_of_channels(
            from_end + (0 if ALONG_ROW else 2), batch, group, tl.program_id(1),
            channels, height, width, LANES, CHANNELS,
        )  # fmt: skip
        _walk_backward(
            f + f_lane, w + w_lane, h + w_lane, g + w_lane, total + f_lane,
            (gf if from_end == 1 else total) + f_lane, gw + w_lane,
            step * channels, 4 * step * channels, length, lengths,
            ALONG_ROW or from_end == 1, STATE, TANH, STEPS,
        )  # fmt: skip
        tl.debug_barrier()  # the second direction reads what the first one wrote
