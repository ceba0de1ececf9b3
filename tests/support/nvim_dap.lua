-- One debugging session with nvim-dap, in a Neovim without a screen.
--
-- Told by environment variables: STAGEDOOR_TESTS_PORT, _TOKEN, _FILE and _LINE. Attaches through the gatekeeper, stops at
-- the breakpoint, steps, evaluates and disconnects. Each step is one line of JSON on standard output.

local dap = require("dap")
local told = function(name)
  return vim.env["STAGEDOOR_TESTS_" .. name]
end

local function tell(step, fields)
  local line = vim.tbl_extend("error", { step = step }, fields or {})
  local encode = vim.json and vim.json.encode or vim.fn.json_encode
  io.stdout:write(encode(line) .. "\n")
  io.stdout:flush()
end

local function answered(name)
  return function(err, body)
    if err then
      tell("refused", { command = name, message = tostring(err.message or err) })
      vim.cmd("cquit")
    end
    return body
  end
end

local stops = 0
dap.adapters.stagedoor = { type = "server", host = "127.0.0.1", port = tonumber(told("PORT")) }

-- nvim-dap asks for the frames by itself, and shows the first one.
dap.listeners.after.stackTrace.stagedoor = function(session, err, body)
  answered("stackTrace")(err, body)
  stops = stops + 1
  local frame = body.stackFrames[1]
  tell("stopped", { frame = frame.name, line = frame.line })
  vim.schedule(function()
    if stops == 1 then
      dap.step_over()
      return
    end
    local asked = { expression = "query * 2", context = "repl", frameId = frame.id }
    session:request("evaluate", asked, function(failed, answer)
      tell("evaluated", { result = answered("evaluate")(failed, answer).result })
      dap.disconnect({ terminateDebuggee = false })
    end)
  end)
end

dap.listeners.after.configurationDone.stagedoor = function(_, err)
  answered("configurationDone")(err)
end

dap.listeners.after.attach.stagedoor = function(_, err, body)
  answered("attach")(err, body)
  tell("attached")
end

-- Comes before the answer to "disconnect", as with debugpy itself: nvim-dap closes the session at once.
dap.listeners.after.event_terminated.stagedoor = function()
  tell("terminated")
  vim.schedule(function()
    vim.cmd("quitall!")
  end)
end

vim.cmd("edit " .. vim.fn.fnameescape(told("FILE")))
vim.api.nvim_win_set_cursor(0, { tonumber(told("LINE")), 0 })
dap.set_breakpoint()
dap.run({ type = "stagedoor", request = "attach", name = "Stagedoor", stagedoorToken = told("TOKEN") })
